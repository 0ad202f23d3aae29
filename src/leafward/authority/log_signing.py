"""When the issuance log is signed: not at each certificate, which would cost more than issuing it, and soon after.

An entry is durable with its certificate; a signature says so to others. Until then a database that is put back from an
old copy is told by the last checkpoint only: the interval is what could be lost unseen.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from leafward.errors import Damaged, KeyUnavailable, LeafwardError, StoreError
from leafward.store.issuance_log.log import IssuanceLog

# Some 5 ms of work and two flushes of the disk each time.
INTERVAL = timedelta(seconds=10)
# A service asks for a key that did not answer no more often: each try may be a login to a token.
TRY_KEY_AGAIN = timedelta(minutes=1)

_logger = logging.getLogger(__name__)


class LogSigning:
    """Signs `log` while a process issues: `recorded` after each transaction, `finish` at the end.

    A checkpoint that cannot be signed now, because the disk is full or the key is at another station, is signed by the
    next one: what it is about is recorded all the same. It is told once for each reason. Only `Damaged` is raised: then
    nothing more may be issued.
    """

    def __init__(self, log: IssuanceLog) -> None:
        self._log = log
        self._since: datetime | None = None
        self._failed: datetime | None = None
        self._told = ""

    def recorded(self, now: datetime) -> None:
        """Notes that something was appended at `now` (aware); signs when the last time was long ago."""
        if self._since is None:
            self._since = now
        elif not now - self._since < INTERVAL:
            self.finish()

    def finish(self) -> None:
        """Signs what this process appended and did not sign yet."""
        if self._since is not None:
            self._sign()

    def catch_up(self, now: datetime) -> None:
        """Signs what anybody appended and nobody signed. Costs two reads where there is nothing. `now` is aware."""
        if self._failed is not None and timedelta(0) <= now - self._failed < TRY_KEY_AGAIN:
            return
        state = self._log.state()
        if state.size > (state.signed.size if state.signed else 0):
            self._failed = None if self._sign() else now

    def _sign(self) -> bool:
        self._since = None
        try:
            self._log.checkpoint()
        except Damaged:
            raise
        except (StoreError, KeyUnavailable) as error:
            if str(error) != self._told:
                _logger.warning("the issuance log is not signed up to its end: %s", error)
            self._told = str(error)
            return False
        self._told = ""
        return True


class IdleSigning:
    """Calls `sign` every `INTERVAL` while it is entered: for a server that may be idle while others append."""

    def __init__(self, sign: Callable[[], None], *, interval: timedelta = INTERVAL) -> None:
        self._sign = sign
        self._seconds = interval.total_seconds()
        self._ended = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._work = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Not cancelled: what signs on its thread has the database open.
        self._ended.set()
        if self._work is not None:
            await self._work

    async def _run(self) -> None:
        while not self._ended.is_set():
            try:
                async with asyncio.timeout(self._seconds):
                    await self._ended.wait()
            except TimeoutError:
                await self._try()

    async def _try(self) -> None:
        try:
            await asyncio.to_thread(self._sign)
        except LeafwardError as error:
            _logger.warning("the issuance log could not be signed: %s", error)
        except Exception:
            # Whatever goes wrong here must not end a server that serves.
            _logger.exception("signing the issuance log failed")
