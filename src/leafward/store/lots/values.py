"""A lot, and what its book tells of it, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

import sqlalchemy as sa

from leafward.store.maker_schema import moment


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot as it was opened, and how many it has issued. `days` None: the profile's lifetime. Times are aware UTC.

    `number` is the database's, given when the lot is opened.
    """

    name: str
    kind: str
    issuer: str
    issuer_sha256: str
    quota: int
    issued: int
    days: int | None
    opened: datetime
    closed: datetime | None = None
    number: int = 0

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of `lots`."""
        closed = None if row["closed"] is None else moment(row["closed"])
        return cls(**{**row, "opened": moment(row["opened"]), "closed": closed})

    @property
    def left(self) -> int:
        """How many more may be issued."""
        return self.quota - self.issued


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that got no certificate. `input` tells it from others; `source` says where it came from."""

    input: bytes
    name: str | None
    source: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate of a lot, as it is handed over. `serial` and `sha256` are lower-case hexadecimal.

    `log_index` is its place in the issuance log, `proof` the text that shows it there (C2SP tlog-proof), where wanted.
    """

    name: str
    serial: str
    sha256: str
    der: bytes
    log_index: int
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Certificates that are durable: their number among the lot's batches, and how many they are."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A certificate that was issued and reached no device."""

    name: str | None
    sha256: str
    why: str
