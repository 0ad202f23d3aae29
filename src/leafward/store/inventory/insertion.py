"""Writing many certificates into the inventory at once: what a factory line waits for.

The statements are made once a database and handed to its driver as tuples: SQLAlchemy's own path for many rows costs a
fifth more of the processor, and on a line of two processes that is signatures not made.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from leafward.store.database import run
from leafward.store.inventory.entry import Entry
from leafward.store.inventory.issued import Status
from leafward.store.inventory.schema import bodies, certificates
from leafward.store.maker_schema import seconds


def _insertion(table: sa.Table) -> str:
    names = [column.name for column in table.columns]
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - ours


_CERTIFICATES, _BODIES = _insertion(certificates), _insertion(bodies)


def insert(
    connection: sa.Connection, entries: Sequence[Entry], indices: Sequence[int], *, issued: datetime, lot: str | None
) -> None:
    """Adds the certificates among `entries` inside the caller's transaction, each at its index in the log.

    Raises SQLAlchemy's `IntegrityError` where a name lives, a serial or a certificate is there: roll back then.
    """
    numbered = [(index, entry) for index, entry in zip(indices, entries, strict=True) if entry.is_certificate]
    if numbered:
        run(connection, _CERTIFICATES, *_facts(numbered, seconds(issued), lot))
        run(connection, _BODIES, *((index, entry.der) for index, entry in numbered))


def _facts(numbered: Sequence[tuple[int, Entry]], issued: int, lot: str | None) -> Iterator[tuple[Any, ...]]:
    """The rows of `certificates`, in the order of its columns."""
    for index, entry in numbered:
        yield (
            index,
            entry.sha256,
            entry.kind,
            entry.name,
            entry.name_key,
            entry.issuer_key_id,
            f"{entry.serial:x}",
            seconds(entry.not_before),
            seconds(entry.not_after),
            issued,
            lot,
            Status.VALID.value,
            None,
        )
