"""A certificate as the inventory tells of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa

from leafward.errors import AlreadyExists
from leafward.store.inventory.schema import certificates, lives, revocations
from leafward.store.maker_schema import moment, seconds


class Status(StrEnum):
    """What became of a certificate. Only a valid one lives: its name is its own until it is none of the others."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate. `status` is as of the time of the question; all times are aware UTC, hexadecimal is lower-case.

    `log_index` is its place in the issuance log. `replaced_by` is the SHA-256 of the certificate in its place.
    """

    log_index: int
    sha256: str
    kind: str
    name: str | None
    issuer_key_id: str
    serial: int
    not_before: datetime
    not_after: datetime
    issued: datetime
    lot: str | None
    status: Status
    replaced_by: str | None
    revoked: datetime | None
    reason: str | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of `SELECTION`."""
        values: dict[str, Any] = {str(name): value for name, value in row.items()}
        values["serial"] = int(values["serial"], 16)
        values["status"] = Status(values["status"])
        for name in ("not_before", "not_after", "issued"):
            values[name] = moment(values[name])
        values["revoked"] = None if values["revoked"] is None else moment(values["revoked"])
        return cls(**values)

    @property
    def label(self) -> str:
        """Kind and name, as messages say it."""
        return f"{self.kind} {self.name!r}" if self.name is not None else f"{self.kind} {self.serial:x}"

    def in_use(self) -> AlreadyExists:
        """The error for whoever wants the name it lives under."""
        return AlreadyExists(
            f"a {self.label} lives",
            why=f"the certificate {self.sha256} is valid until {self.not_after:%Y-%m-%dT%H:%M:%SZ}",
            hint="--renew for the same key, --replace for another, or revoke it first",
        )


# Statements are built once: building one takes SQLAlchemy ten times as long as SQLite needs to answer it.
_NOW = sa.bindparam("now", type_=sa.BigInteger)
_UNCHANGED = ("log_index", "sha256", "kind", "name", "issuer_key_id", "serial", "not_before", "not_after", "issued")

# The status of a row at the time `now`, a parameter: nothing has to run for a certificate to expire.
status_now = sa.case(
    (sa.and_(lives(), certificates.c.not_after < _NOW), sa.literal_column(f"'{Status.EXPIRED}'", sa.Text)),
    else_=certificates.c.status,
)
# The rows of `Issued.of`, all of them, at the time `now`.
SELECTION = sa.select(
    *(certificates.c[name] for name in (*_UNCHANGED, "lot", "replaced_by")),
    status_now.label("status"),
    revocations.c.revoked,
    revocations.c.reason,
).select_from(certificates.outerjoin(revocations, revocations.c.log_index == certificates.c.log_index))


def at(now: datetime, **others: object) -> dict[str, object]:
    """The parameters of a statement made from `SELECTION`."""
    return {"now": seconds(now), **others}
