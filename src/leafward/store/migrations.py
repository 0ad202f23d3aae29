"""Which version a database has, and how an older one becomes the present one: numbered steps, all or none of them.

A new database is made from the tables as they are now and needs no steps; its version is the last step's number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from leafward.errors import Damaged, StoreError
from leafward.store import postgresql

FIRST_VERSION = 1

_versions = sa.Table(
    "schema_version",
    sa.MetaData(),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)


@dataclass(frozen=True)
class Migration:
    """One step: `run` turns the tables of version `version - 1` into those of `version`. The first step is 2.

    `run` gets a connection inside the transaction of all steps; it must not commit.
    """

    version: int
    what: str
    run: Callable[[sa.Connection], None]


def refuse_other_versions(connection: sa.Connection, name: str, migrations: Sequence[Migration], *, where: str) -> None:
    """For readers, which change nothing. Raises `StoreError` unless the database has the present version."""
    latest = _latest(migrations)
    found = _found(connection, name, where, latest)
    if found is None or found < latest:
        got = "no version" if found is None else f"version {found}"
        hint = "start the edge once: it brings its databases up to date"
        raise StoreError(
            f"the database {where} is of an older leafward", why=f"got {got}, expected {latest}", hint=hint
        )


def bring_up_to_date(
    engine: sa.Engine, metadata: sa.MetaData, name: str, migrations: Sequence[Migration], *, where: str
) -> None:
    """Makes the tables, or runs the steps that are missing, in one transaction.

    Of several processes at once one does it, the others find it done. Raises `StoreError` for a database of a newer
    version, `Damaged` for one that holds our tables and no version; both leave it as it is.
    """
    latest = _latest(migrations)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if _found(connection, name, where, latest) == latest:
            return
    with engine.begin() as connection:
        if engine.dialect.name == postgresql.NAME:  # SQLite is locked by beginning
            postgresql.lock_writers(connection)
        found = _found(connection, name, where, latest)
        if found is None:
            _make(connection, metadata, name, latest, where)
        elif found < latest:
            for step in migrations[found - FIRST_VERSION :]:
                step.run(connection)
            connection.execute(sa.update(_versions).where(_versions.c.name == name).values(version=latest))


def _latest(migrations: Sequence[Migration]) -> int:
    numbers = [FIRST_VERSION, *(step.version for step in migrations)]
    if numbers != list(range(FIRST_VERSION, FIRST_VERSION + len(numbers))):
        raise ValueError(f"migrations must be numbered 2, 3, … in order: {numbers[1:]}")
    return numbers[-1]


def _found(connection: sa.Connection, name: str, where: str, latest: int) -> int | None:
    """The version that is there, None for a new database. Raises `StoreError` when it is newer than `latest`."""
    if not sa.inspect(connection).has_table(_versions.name):
        return None
    found = connection.execute(sa.select(_versions.c.version).where(_versions.c.name == name)).scalar_one_or_none()
    if found is not None and found > latest:
        raise StoreError(
            f"the database {where} is of a newer leafward",
            why=f"got version {found}, expected {latest} or less",
            hint="install the leafward that wrote it, or restore a copy from before",
        )
    return found


def _make(connection: sa.Connection, metadata: sa.MetaData, name: str, latest: int, where: str) -> None:
    # One question for all tables: asking for each takes longer than making them.
    there = set(sa.inspect(connection).get_table_names())
    if strange := [table for table in metadata.tables if table in there]:
        why = f"it has the table '{strange[0]}' and no version"
        raise Damaged(f"the database {where} was not made by leafward", why=why, hint="choose another database")
    _versions.create(connection, checkfirst=True)
    metadata.create_all(connection, checkfirst=False)
    connection.execute(sa.insert(_versions).values(name=name, version=latest))
