"""Registered CAs, and whether their owner has proved to hold the key: by a certificate named after a code of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.exc import IntegrityError

from leafward.errors import AlreadyExists, Busy, NotFound
from leafward.store.database import lock_for_writing, reader, told_of
from leafward.store.enrolments import schema
from leafward.store.enrolments.book import count_change
from leafward.store.enrolments.rows import CA
from leafward.store.enrolments.schema import microseconds, moment
from leafward.store.enrolments.values import Stale, signer_of

_table = schema.cas
_columns = _table.c


@dataclass(frozen=True, slots=True)
class RegisteredCa:
    """A CA under a name. `code` is what a certificate that proves it must be named, until `code_until` (aware UTC)."""

    name: str
    certificate: x509.Certificate
    verified: bool
    etag: str
    created: datetime
    updated: datetime
    code: str | None = field(default=None, repr=False)
    code_until: datetime | None = None


class CaBook:
    """The registered CAs. Names are compared without case. Thread-safe; raises `StoreError` when it refuses."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, ca: RegisteredCa) -> None:
        """Registers a CA. Raises `AlreadyExists` for a name in use, and for a CA that has another name here."""
        with told_of(self._engine):
            try:
                with self._engine.begin() as connection:
                    lock_for_writing(connection)
                    connection.execute(sa.insert(_table).values(**_row(ca)))
                    count_change(connection)
            except IntegrityError as error:
                why = "the name is taken, or this CA is registered under another"
                raise AlreadyExists(
                    f"cannot register the CA {ca.name!r}", why=why, hint="leafward provisioning ca list"
                ) from error

    def get(self, name: str) -> RegisteredCa:
        """The CA of this name. Raises `NotFound`."""
        with told_of(self._engine), reader(self._engine) as connection:
            statement = sa.select(_table).where(_columns.folded == name.lower())
            row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no CA {name[:128]!r} is registered", hint="leafward provisioning ca list")
        return _ca(row)

    def all(self) -> list[RegisteredCa]:
        """All, by name."""
        with told_of(self._engine), reader(self._engine) as connection:
            return [
                _ca(row) for row in connection.execute(sa.select(_table).order_by(_columns.folded)).mappings().all()
            ]

    def replace(self, ca: RegisteredCa, *, etag: str | None) -> None:
        """Puts `ca` in the place of the one of its name. Raises `NotFound`; `Stale` where that has another ETag."""
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            _check_etag(connection, ca.name, etag)
            connection.execute(sa.update(_table).where(_columns.folded == ca.name.lower()).values(**_row(ca)))
            count_change(connection)

    def remove(self, name: str, *, etag: str | None = None) -> None:
        """Forgets a CA: it admits nobody any more. Raises `NotFound`, `Stale`, `Busy` where a group names it."""
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            _check_etag(connection, name, etag)
            if (group := _group_by(connection, name)) is not None:
                hint = f"leafward enrolment remove --group {group}"
                raise Busy(f"the CA {name!r} is in use", why=f"the group {group!r} is of its devices", hint=hint)
            connection.execute(sa.delete(_table).where(_columns.folded == name.lower()))
            count_change(connection)


def _check_etag(connection: sa.Connection, name: str, etag: str | None) -> None:
    found = connection.execute(sa.select(_columns.etag).where(_columns.folded == name.lower())).scalar()
    if found is None:
        raise NotFound(f"no CA {name[:128]!r} is registered", hint="leafward provisioning ca list")
    if etag not in (None, found):
        raise Stale(f"the CA {name!r} was changed meanwhile", why=f"its etag is {found!r}", hint="read it again")


def _group_by(connection: sa.Connection, name: str) -> str | None:
    row = schema.enrolments.c
    statement = sa.select(row.id, row.primary_body, row.secondary_body).where(row.grouped, row.kind == CA)
    for group, *bodies in connection.execute(statement):
        if name.lower() in {bytes(body).decode().lower() for body in bodies if body is not None}:
            return str(group)
    return None


def _row(ca: RegisteredCa) -> dict[str, Any]:
    return {
        "folded": ca.name.lower(),
        "name": ca.name,
        "der": ca.certificate.public_bytes(Encoding.DER),
        "signer": signer_of(ca.certificate),
        "verified": ca.verified,
        "code": ca.code,
        "code_until": None if ca.code_until is None else microseconds(ca.code_until),
        "etag": ca.etag,
        "created": microseconds(ca.created),
        "updated": microseconds(ca.updated),
    }


def _ca(row: Mapping[Any, Any]) -> RegisteredCa:
    return RegisteredCa(
        name=row["name"],
        certificate=x509.load_der_x509_certificate(bytes(row["der"])),
        verified=bool(row["verified"]),
        etag=row["etag"],
        created=moment(row["created"]),
        updated=moment(row["updated"]),
        code=row["code"],
        code_until=None if row["code_until"] is None else moment(row["code_until"]),
    )
