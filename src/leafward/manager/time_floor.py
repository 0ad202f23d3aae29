"""A clock that does not run behind what is known: gateways without a battery-backed clock start in 1970.

The floor is the newest of the notBefore dates of this device's own certificates and the last time seen and saved.
While the system's clock is behind it, the floor is the time used, and the status says so; nothing is removed or issued
anew because the clock is wrong.

NOTE: a saved time is only as good as the clock it came from. One that was wrong into the future keeps the floor there
until the file is removed; the status names the file.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import NotFound

Clock = Callable[[], datetime]

_log = logging.getLogger(__name__)


def system_clock() -> datetime:
    """The system's clock, in UTC and aware."""
    return datetime.now(UTC)


class TimeFloor:
    """The time the manager uses. `clock` gives aware UTC times; `path` is where the last one seen is kept."""

    def __init__(self, path: Path, clock: Clock = system_clock) -> None:
        self.path = path
        self._clock = clock
        self._floor = _saved(path)

    @property
    def in_use(self) -> bool:
        """Whether the system's clock is behind the floor, so that the floor is the time used."""
        return self._floor is not None and self._clock() < self._floor

    def now(self) -> datetime:
        """The system's time, or the floor where that is later. Aware, UTC."""
        now = self._clock()
        return now if self._floor is None else max(now, self._floor)

    def learn(self, certificates: Iterable[x509.Certificate]) -> None:
        """Raises the floor to the newest notBefore: these certificates were made, so that time has been."""
        for certificate in certificates:
            not_before = certificate.not_valid_before_utc
            self._floor = not_before if self._floor is None else max(self._floor, not_before)

    def save(self) -> None:
        """Keeps the time for the next start. Never a time that only comes from the floor: it would look measured."""
        if self.in_use:
            _log.warning("the system's clock is behind %s, which is used instead", self.now().isoformat())
            return
        disk.write_file(self.path, self._clock().isoformat().encode(), mode=disk.PUBLIC)


def _saved(path: Path) -> datetime | None:
    """The time last seen; None on the first start, and for a file that is damaged: a floor is a help, not a need."""
    try:
        saved = datetime.fromisoformat(disk.read_file(path, limit=64).decode("ascii"))
    except NotFound:
        return None
    except ValueError:
        _log.warning("%s holds no time and is not used", path)
        return None
    return saved.astimezone(UTC) if saved.tzinfo is not None else None
