"""The hub's time: the system's, unless that is behind what is known.

A gateway whose clock has no battery starts in 1970. Every certificate would be "not yet valid" then, and a token that
expired years ago would be good. What is known: this program was built, so that time has been; and the manager keeps
the last time that it saw. Where it has kept none, the chain that the hub serves was made. While the system's clock is
behind the latest of them, that is the time used.

The manager judges whose clock is right (docs/clock.md), and may find that the time it saw was ahead: then it puts its
file back and issues anew what is too new. So the file is read again whenever it is the file that counts; a certificate
that was issued ahead of the time must not keep the time there.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from leafward import __built__, disk
from leafward.errors import LeafwardError
from leafward.hub.log_budget import LogBudget

logger = logging.getLogger(__name__)

# The manager's file, below its folder. Its first line is the time; the rest is the manager's own.
LAST_SEEN = "last-seen"
BUILT = datetime.fromisoformat(__built__).replace(tzinfo=UTC)
TOLD_EVERY_SECONDS = 3600.0
_FILE_LIMIT = 1024


class HubClock:
    """Call it for the time, aware, in UTC. `system` gives the system's; `last_seen` is the manager's file."""

    def __init__(self, system: Callable[[], datetime], last_seen: Path) -> None:
        self._system = system
        self._last_seen = last_seen
        self._made = BUILT
        self._look: tuple[int, int] | None = None
        self._floor = BUILT
        self._read()
        self._budget = LogBudget(1, TOLD_EVERY_SECONDS)

    def __call__(self) -> datetime:
        system = self._system()
        if system >= self._floor:
            return system
        self._read()
        return max(system, self._floor)

    def learn(self, certificates: Iterable[x509.Certificate]) -> None:
        """`certificates` is the chain in use: it was made, so the time is not before the newest of its notBefore dates.

        Called with each look at the manager; reads the manager's file as well.
        """
        self._made = max([BUILT, *(certificate.not_valid_before_utc for certificate in certificates)])
        self._read(again=True)
        if self._system() < self._floor and self._budget.take():
            logger.warning("the system's clock is behind %s, which is used instead", self._floor.isoformat())

    def _read(self, *, again: bool = False) -> None:
        """The manager's file where it is another one than before: it is replaced whole."""
        look = _look_at(self._last_seen)
        if look != self._look or again:
            self._look = look
            saved = _saved(self._last_seen)
            self._floor = self._made if saved is None else max(BUILT, saved)


def _look_at(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _saved(path: Path) -> datetime | None:
    """The time in the manager's file; one that cannot be read is passed over: a floor is a help, not a need."""
    try:
        first = disk.read_file(path, limit=_FILE_LIMIT).decode("ascii").partition("\n")[0]
        saved = datetime.fromisoformat(first)
        return saved.astimezone(UTC) if saved.tzinfo is not None else None
    except (LeafwardError, ValueError, OverflowError):
        return None
