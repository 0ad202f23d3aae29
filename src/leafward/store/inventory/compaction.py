"""Giving back the room of expired certificates: their bytes go, what is known of them stays.

The log still proves each by its SHA-256, and whoever holds the certificate can show it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from leafward.store.database import lock_for_writing, reader, told_of
from leafward.store.inventory.schema import bodies, certificates
from leafward.store.maker_schema import seconds

# How many one transaction drops: issuing must not wait long for it.
_STEP = 1000


@dataclass(frozen=True)
class Compaction:
    """How many certificates lost their bytes, or would, and how many octets these are."""

    certificates: int
    octets: int


def compact(engine: sa.Engine, before: datetime, *, dry_run: bool) -> Compaction:
    """See `Inventory.compact`."""
    ended = (
        sa.select(bodies.c.log_index, sa.func.length(bodies.c.der))
        .join(certificates, certificates.c.log_index == bodies.c.log_index)
        .where(certificates.c.not_after < seconds(before))
    )
    if dry_run:
        with told_of(engine), reader(engine) as connection:
            sizes = ended.subquery().c
            total = sa.func.coalesce(sa.func.sum(sizes[1]), 0)
            count, octets = connection.execute(sa.select(sa.func.count(), total)).one()
        return Compaction(int(count), int(octets))
    dropped = octets = 0
    while step := _drop(engine, ended.limit(_STEP)):
        dropped, octets = dropped + len(step), octets + sum(step)
    return Compaction(dropped, octets)


def _drop(engine: sa.Engine, which: sa.Select[Any]) -> list[int]:
    """Drops one step's certificates. Their sizes."""
    with told_of(engine), engine.begin() as connection:
        lock_for_writing(connection)
        rows = connection.execute(which).all()
        gone = [{"number": index} for index, _ in rows]
        if gone:
            connection.execute(sa.delete(bodies).where(bodies.c.log_index == sa.bindparam("number")), gone)
    return [int(size) for _, size in rows]
