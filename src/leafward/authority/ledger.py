"""The one gate: no signature leaves the authority that is not durable in the inventory and the issuance log.

    sign -> Ledger.record -> hand out

`record` is one transaction over both. A kill, a full disk or a name in use before it returns means that nothing was
issued: the certificate was never shown to anybody, and neither its name nor its serial is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.authority.log_keys import open_log
from leafward.authority.log_signing import LogSigning
from leafward.store.database import told_of
from leafward.store.inventory import Entry, Inventory, entry_texts
from leafward.store.issuance_log.log import IssuanceLog
from leafward.store.maker_database import FILE, open_maker_database
from leafward.store.writer import Writer

__all__ = ["Entry", "Ledger"]

Clock = Callable[[], datetime]
# What is done with the connection of a transaction, before it commits.
Also = Callable[[sa.Connection], None]

# A name whose holder expired is asked for again once it is free. Who loses that race thrice meets a fault, not a rival.
_TRIES = 3


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


class Ledger:
    """Inventory and issuance log in one database. Thread-safe; any number of processes and stations share it.

    Every method raises `StoreError` (`Busy`, `Damaged`) when the database refuses; nothing was recorded then.
    """

    def __init__(self, engine: sa.Engine, log: IssuanceLog, *, clock: Clock = utc_now) -> None:
        self.engine = engine
        self.inventory = Inventory(engine)
        self.log = log
        self.clock = clock
        self._signing = LogSigning(log)
        self._writer = Writer(engine)

    @classmethod
    def open(cls, maker: Path, *, database: str | None = None, clock: Clock = utc_now) -> Self:
        """The ledger of a maker's folder: `maker.db` in it, or a PostgreSQL URL. `clock` gives aware UTC times.

        Made where it is new. Raises as `open_database`.
        """
        engine = open_maker_database(database or maker / FILE)
        return cls(engine, open_log(engine, maker), clock=clock)

    def record(
        self,
        entries: Sequence[Entry],
        *,
        lot: str | None = None,
        replacing: Mapping[str, str | None] | None = None,
        also: Also | None = None,
    ) -> list[int]:
        """Writes signatures down, all or none, durable when it returns. Their indices in the log, in order.

        Called after signing and before anything is handed out. `replacing` is new sha256 -> sha256 of the living
        certificate whose place it takes, or None: whoever lives under its name, if anybody does. `also` writes more in
        the same transaction (a lot's progress); where the transaction is tried again, so is `also`.

        Raises `AlreadyExists`, naming what lives, for a name in use, a serial given out before, or a certificate that
        is recorded; `NotFound` where what was to be replaced does not live; `Damaged` for a database that was restored
        from an old copy.
        """
        if not entries:
            return []
        replaced = replacing or {}
        for left in reversed(range(_TRIES)):
            now = self.clock()
            with told_of(self.engine):
                try:
                    return self._write(entries, now, lot, replaced, also)
                except IntegrityError as error:
                    reason = self.inventory.conflict(entries, now, replaced=replaced)
                    if reason is not None:
                        raise reason from error
                    if not left:
                        raise
            self.inventory.release_expired(entries, now)
        raise AssertionError  # the last try returns or raises

    def _write(
        self,
        entries: Sequence[Entry],
        now: datetime,
        lot: str | None,
        replaced: Mapping[str, str | None],
        also: Also | None,
    ) -> list[int]:
        with self._writer.begin() as connection:
            indices = self.log.append(connection, entry_texts(entries, now))
            self.inventory.replace(connection, entries, replaced)
            self.inventory.insert(connection, entries, indices, issued=now, lot=lot)
            if also is not None:
                also(connection)
        self._signing.recorded(now)
        return indices

    def sign(self) -> None:
        """Signs the log where anybody recorded something since it was signed: for services that may be idle for long.

        Raises `StoreError` where the log cannot be read, `Damaged` where it does not extend what was signed. What keeps
        it from being signed now is logged.
        """
        self._signing.catch_up(self.clock())

    def close(self) -> None:
        """Signs the log where something was recorded, and closes the database. May be repeated."""
        try:
            self._signing.finish()
        finally:
            self._writer.close()
            self.inventory.close()
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
