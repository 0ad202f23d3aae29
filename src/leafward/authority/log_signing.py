"""When the issuance log is signed: not at each certificate, which would cost more than issuing it, and soon after.

An entry is durable with its certificate; a signature says so to others. Until then a database that is put back from an
old copy is told by the last checkpoint only: the interval is what could be lost unseen.
"""

import logging
from datetime import datetime, timedelta

from leafward.errors import Damaged, KeyUnavailable, StoreError
from leafward.store.issuance_log.log import IssuanceLog

# Some 5 ms of work and two flushes of the disk each time.
INTERVAL = timedelta(seconds=10)

_logger = logging.getLogger(__name__)


class LogSigning:
    """Signs `log` while a process issues: `recorded` after each transaction, `finish` at the end.

    A checkpoint that cannot be signed now, because the disk is full or the key is at another station, is signed by the
    next one: what it is about is recorded all the same. Only `Damaged` is raised: then nothing more may be issued.
    """

    def __init__(self, log: IssuanceLog) -> None:
        self._log = log
        self._since: datetime | None = None

    def recorded(self, now: datetime) -> None:
        """Notes that something was appended at `now` (aware); signs when the last time was long ago."""
        if self._since is None:
            self._since = now
        elif not now - self._since < INTERVAL:
            self.finish()

    def finish(self) -> None:
        """Signs what is not signed yet."""
        if self._since is None:
            return
        self._since = None
        try:
            self._log.checkpoint()
        except Damaged:
            raise
        except (StoreError, KeyUnavailable) as error:
            _logger.warning("the issuance log is not signed up to its end: %s", error)
