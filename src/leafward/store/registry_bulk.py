"""The registry by the thousand: devices put in, in one transaction, and read out in pages; memory stays flat.

For imports, exports and the provisioning service. SQLAlchemy's own way of writing a row costs more than the row.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from leafward.pki.names import parse_device_id, parse_module_id
from leafward.store import postgresql
from leafward.store.database import lock_for_writing, reader, run, told_of
from leafward.store.identity import Identity
from leafward.store.identity_rows import FIELDS, identity_of, row_of
from leafward.store.registry import Registry

Outcome: TypeAlias = Literal["added", "replaced", "same", "taken"]
# What to keep in the place of an identity of the same id; None where that one is to stay, and the id is taken.
Merge: TypeAlias = Callable[[Identity, Identity], Identity | None]

_COLUMNS = (*FIELDS[:2], "device_folded", "module_folded", *FIELDS[2:])
_NAMES = ", ".join(_COLUMNS)
_INSERT = f"INSERT INTO identities ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - our names
_SELECT = f"SELECT {', '.join(FIELDS)} FROM identities"  # noqa: S608 - our names
_DELETE = "DELETE FROM identities WHERE device_id = ? AND module_id = ?"
_COPY = f"COPY identities ({_NAMES}) FROM STDIN"
# SQLite takes no more than 32,766 values in a statement.
_STEP = 1000
# Below so many rows COPY's own round trips cost more than it saves.
_COPY_FROM = 64


def keep_present(_present: Identity, _new: Identity) -> None:
    """The merge of an import: an id in use is taken."""


def put_many(registry: Registry, identities: Sequence[Identity], merge: Merge = keep_present) -> list[Outcome]:
    """Puts identities into the registry in one transaction; what became of each, in their order.

    Durable when it returns; all or nothing where the database refuses. An id that differs from a present one by case
    only, and a second one of the same id within `identities`, is taken. Raises `NameFormatError`, `StoreError`.
    """
    for identity in identities:
        parse_device_id(identity.device_id)
        if identity.module_id is not None:
            parse_module_id(identity.module_id)
    with told_of(registry.engine), registry.engine.begin() as connection:
        lock_for_writing(connection)
        present = _present(connection, sorted({identity.device_id.lower() for identity in identities}))
        outcomes, gone, new = _decide(identities, present, merge)
        if gone:
            run(connection, _DELETE, *((one.device_id, one.module_id or "") for one in gone))
        if new:
            _insert(connection, new)
    return outcomes


def pages(registry: Registry, size: int = 1000) -> Iterator[list[Identity]]:
    """Every identity by id, devices before their modules, a page at a time: each page as it is when it is read."""
    device, module = "", ""
    mark = "?" if registry.engine.dialect.paramstyle == "qmark" else "%s"
    statement = (
        f"{_SELECT} WHERE (device_id, module_id) > ({mark}, {mark}) ORDER BY device_id, module_id LIMIT {int(size)}"
    )
    while True:
        with told_of(registry.engine), reader(registry.engine) as connection:
            rows = connection.exec_driver_sql(statement, (device, module)).all()
        if not rows:
            return
        page = [identity_of(row) for row in rows]
        yield page
        device, module = page[-1].device_id, page[-1].module_id or ""


def _decide(
    identities: Sequence[Identity], present: dict[tuple[str, str], Identity], merge: Merge
) -> tuple[list[Outcome], list[Identity], list[Identity]]:
    """(outcomes, rows that go, rows that come)."""
    outcomes: list[Outcome] = []
    gone: list[Identity] = []
    new: dict[tuple[str, str], Identity] = {}
    spelled = {folded: one.device_id for (folded, _module), one in present.items()}
    for identity in identities:
        key = _key(identity)
        found = present.get(key)
        kept = identity if found is None else merge(found, identity)
        other_case = spelled.setdefault(key[0], identity.device_id) != identity.device_id
        if key in new or kept is None or other_case or (found is not None and found.label != identity.label):
            outcomes.append("taken")
        elif kept == found:
            outcomes.append("same")
        else:
            outcomes.append("added" if found is None else "replaced")
            gone += [] if found is None else [found]
            new[key] = kept
    return outcomes, gone, list(new.values())


def _key(identity: Identity) -> tuple[str, str]:
    return identity.device_id.lower(), (identity.module_id or "").lower()


def _present(connection: sa.Connection, folded: Sequence[str]) -> dict[tuple[str, str], Identity]:
    found: dict[tuple[str, str], Identity] = {}
    for statement, values in _questions(connection, folded):
        for row in connection.exec_driver_sql(statement, values):
            identity = identity_of(row)
            found[_key(identity)] = identity
    return found


def _questions(connection: sa.Connection, folded: Sequence[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The questions for these devices. PostgreSQL takes them all as one value, which the driver does not parse."""
    if connection.dialect.name == postgresql.NAME:
        yield f"{_SELECT} WHERE device_folded = ANY(%s)", (list(folded),)
        return
    for start in range(0, len(folded), _STEP):
        some = tuple(folded[start : start + _STEP])
        yield f"{_SELECT} WHERE device_folded IN ({', '.join('?' * len(some))})", some


def _insert(connection: sa.Connection, identities: Sequence[Identity]) -> None:
    rows = [tuple(row[name] for name in _COLUMNS) for row in map(row_of, identities)]
    if connection.dialect.name == postgresql.NAME and len(rows) >= _COPY_FROM:
        _copy(connection, rows)
    else:
        run(connection, _INSERT, *rows)


def _copy(connection: sa.Connection, rows: Sequence[Sequence[Any]]) -> None:
    dialect = connection.dialect
    driver = dialect.loaded_dbapi
    cursor: Any = connection.connection.cursor()
    try:
        with cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
    except driver.Error as error:
        raise DBAPIError.instance(_COPY, None, error, driver.Error, hide_parameters=True, dialect=dialect) from error
    finally:
        cursor.close()
