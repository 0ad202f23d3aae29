"""Names and passwords for a device's first enrolment, before it has a certificate. In the maker's database.

A password is kept as the digest of a slow hash and cannot be read back. An account that serves once is spent in the
transaction that records its certificate (`spend`), so that of two requests at the same instant one gets it.
"""

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.errors import AccessDenied, AlreadyExists, NotFound
from leafward.store.database import reader, told_of
from leafward.store.maker_schema import metadata, moment, seconds

_accounts = sa.Table(
    "est_accounts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("devices", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),  # joined by blanks, which no label has
    sa.Column("once", sa.Boolean, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),  # seconds since 1970, UTC
    sa.Column("not_after", sa.BigInteger, nullable=False),
    sa.Column("spent_on", sa.Text),  # sha256 of the certificate
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who may enrol `devices` (a name, or a pattern with one `*`) under `labels`, until `not_after` (aware UTC).

    `once`: for one certificate, whose sha256 is then `spent_on`.
    """

    name: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    devices: str
    labels: tuple[str, ...]
    once: bool
    created: datetime
    not_after: datetime
    spent_on: str | None = None

    def covers(self, device: str) -> bool:
        """Whether the account is for a device of that name; names are compared as they stand."""
        head, star, tail = self.devices.partition("*")
        if not star:
            return hmac.compare_digest(device.encode(), self.devices.encode())
        return device.startswith(head) and device.endswith(tail) and len(device) > len(head) + len(tail)

    @property
    def one_device(self) -> str | None:
        """The only device it is for; None where a pattern stands for several."""
        return None if "*" in self.devices else self.devices


class Accounts:
    """The accounts of a maker. Thread-safe; shared by every process and station on the database.

    Every method raises `StoreError` when the database refuses.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, account: Account) -> None:
        """Keeps a new account. Raises `AlreadyExists` for a name in use."""
        with told_of(self._engine):
            try:
                with self._engine.begin() as connection:
                    connection.execute(sa.insert(_accounts).values(_row(account)))
            except IntegrityError:
                hint = f"choose another name, or: leafward ca account remove {account.name}"
                raise AlreadyExists(f"an account '{account.name}' exists", hint=hint) from None

    def get(self, name: str) -> Account | None:
        """The account, expired or spent ones too."""
        with told_of(self._engine), reader(self._engine) as connection:
            row = connection.execute(sa.select(_accounts).where(_accounts.c.name == name)).mappings().one_or_none()
        return None if row is None else _account(dict(row))

    def all(self) -> list[Account]:
        """All, by name."""
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(sa.select(_accounts).order_by(_accounts.c.name)).mappings().all()
        return [_account(dict(row)) for row in rows]

    def remove(self, name: str) -> None:
        """Forgets an account. Raises `NotFound`."""
        with told_of(self._engine), self._engine.begin() as connection:
            if connection.execute(sa.delete(_accounts).where(_accounts.c.name == name)).rowcount != 1:
                raise NotFound(f"no account '{name}'", hint="leafward ca account list")


def spend(connection: sa.Connection, name: str, sha256: str) -> None:
    """Marks an account that serves once as spent on a certificate, in the caller's transaction.

    Raises `AccessDenied` where it was spent or removed meanwhile; the caller's transaction must not be committed then.
    """
    unspent = sa.and_(_accounts.c.name == name, _accounts.c.spent_on.is_(None))
    if connection.execute(sa.update(_accounts).where(unspent).values(spent_on=sha256)).rowcount != 1:
        raise AccessDenied("this account was for one certificate, and it was issued", hint="ask for another account")


def _row(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "salt": account.salt,
        "digest": account.digest,
        "devices": account.devices,
        "labels": " ".join(account.labels),
        "once": account.once,
        "created": seconds(account.created),
        "not_after": seconds(account.not_after),
        "spent_on": account.spent_on,
    }


def _account(row: dict[str, Any]) -> Account:
    times = {"created": moment(row["created"]), "not_after": moment(row["not_after"])}
    return Account(**{**row, **times, "labels": tuple(row["labels"].split())})
