"""The tables of the log, read and written: statements only, on the connection of whoever asks.

What must be one with something else, such as the inventory's rows, happens on one connection and in its transaction.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from leafward.errors import Damaged
from leafward.store.database import reader, run, told_of
from leafward.store.issuance_log.schema import checkpoints, entries, head, tiles
from leafward.store.issuance_log.tiles import TILE_WIDTH, Tile
from leafward.store.issuance_log.tree import HASH_SIZE

_POSITION = entries.c.position
_FROM, _TO, _LEVEL, _INDEX = (sa.bindparam(name, type_=sa.BigInteger) for name in ("from_", "to", "level", "index"))
_HEAD = sa.select(head.c.size, head.c.frontier, head.c.verifier_key).where(head.c.id == 1)
_HEAD_ROW = "SELECT size, frontier, verifier_key FROM log_head WHERE id = 1"
# Two processes may meet a new log at the same instant: the second waits for the first, then finds its row.
_NEW_HEAD = sa.text("INSERT INTO log_head (id, size, frontier) VALUES (1, 0, :frontier) ON CONFLICT DO NOTHING")
_ENTRIES = (
    sa.select(_POSITION, entries.c.entry, entries.c.leaf_hash)
    .where(_POSITION >= _FROM, _POSITION < _TO)
    .order_by(_POSITION)
)
_LEAF_HASHES = sa.select(entries.c.leaf_hash).where(_POSITION >= _FROM, _POSITION < _TO).order_by(_POSITION)
_TILE = sa.select(tiles.c.hashes, tiles.c.root).where(tiles.c.level == _LEVEL, tiles.c.position == _INDEX)
_TILE_ROOTS = (
    sa.select(tiles.c.root)
    .where(tiles.c.level == _LEVEL, tiles.c.position >= _FROM, tiles.c.position < _TO)
    .order_by(tiles.c.position)
)
_LAST_CHECKPOINT = sa.select(checkpoints.c.size, checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)


@dataclass(frozen=True, slots=True)
class Head:
    """The row that says how far the log is."""

    size: int = 0
    frontier: bytes = b""
    verifier_key: str | None = None


@contextlib.contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that sees one instant, however long it reads, and that no writer waits for."""
    with told_of(engine):
        if engine.dialect.name == "sqlite":
            with reader(engine) as connection:
                connection.exec_driver_sql("BEGIN")
                try:
                    yield connection
                finally:
                    connection.exec_driver_sql("ROLLBACK")
        else:
            with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                yield connection


def read_head(connection: sa.Connection) -> Head:
    """How far the log is; a log that was never written to has no entries."""
    return _as_head(connection.execute(_HEAD).one_or_none()) or Head()


def lock_head(connection: sa.Connection) -> Head:
    """The same, and nobody else appends or signs until this transaction ends."""
    lock = _HEAD_ROW if connection.dialect.name == "sqlite" else f"{_HEAD_ROW} FOR UPDATE"
    found = _as_head(run(connection, lock).fetchone())
    if found is None:
        connection.execute(_NEW_HEAD, {"frontier": b""})
        found = _as_head(run(connection, lock).fetchone())
    assert found is not None
    return found


def write_head(connection: sa.Connection, size: int, frontier: bytes) -> None:
    """Moves the head on."""
    run(connection, "UPDATE log_head SET size = ?, frontier = ? WHERE id = 1", (size, frontier))


def write_key(connection: sa.Connection, verifier_key: str | None) -> None:
    """Keeps whose signatures the log's checkpoints have."""
    connection.execute(sa.update(head).where(head.c.id == 1).values(verifier_key=verifier_key))


def insert_entries(connection: sa.Connection, first: int, found: Sequence[bytes], leaves: Sequence[bytes]) -> None:
    """Adds entries with their leaf hashes, from the position `first` on."""
    rows = zip(range(first, first + len(found)), found, leaves, strict=True)
    run(connection, "INSERT INTO log_entries (position, entry, leaf_hash) VALUES (?, ?, ?)", *rows)


def insert_tiles(connection: sa.Connection, rows: Sequence[tuple[int, int, bytes, bytes]]) -> None:
    """Adds full tiles: (level, index, hashes, root)."""
    names = ("level", "position", "hashes", "root")
    connection.execute(sa.insert(tiles), [dict(zip(names, row, strict=True)) for row in rows])


def entries_between(connection: sa.Connection, start: int, end: int) -> list[tuple[int, bytes, bytes]]:
    """(position, entry, leaf hash) of the rows from `start` up to `end`."""
    found = connection.execute(_ENTRIES, {"from_": start, "to": end}).all()
    return [(position, _bytes(entry), _bytes(leaf)) for position, entry, leaf in found]


def find_line(connection: sa.Connection, line: str) -> int | None:
    """The first entry that has `line` as one of its lines. Reads every entry: no index is kept for this."""
    found = sa.select(_POSITION).where(_has(connection, line)).order_by(_POSITION)
    return connection.execute(found.limit(1)).scalar_one_or_none()


def find_lines(connection: sa.Connection, line: str) -> list[tuple[int, bytes]]:
    """(position, entry) of every entry that has `line` as one of its lines, first to last. As `find_line`."""
    found = sa.select(_POSITION, entries.c.entry).where(_has(connection, line)).order_by(_POSITION)
    return [(position, _bytes(entry)) for position, entry in connection.execute(found)]


def leaf_hashes(connection: sa.Connection, start: int, end: int) -> bytes:
    """The leaf hashes of the rows from `start` up to `end`, one behind the other."""
    return b"".join(map(_bytes, connection.execute(_LEAF_HASHES, {"from_": start, "to": end}).scalars()))


def tile_roots(connection: sa.Connection, level: int, start: int, end: int) -> bytes:
    """The roots of the full tiles of `level` from `start` up to `end`, one behind the other."""
    return b"".join(map(_bytes, connection.execute(_TILE_ROOTS, {"level": level, "from_": start, "to": end}).scalars()))


def read_tile(connection: sa.Connection, level: int, index: int) -> tuple[bytes, bytes] | None:
    """(hashes, root) of a full tile; None where there is no such row."""
    row = connection.execute(_TILE, {"level": level, "index": index}).one_or_none()
    return None if row is None else (_bytes(row.hashes), _bytes(row.root))


def strays(connection: sa.Connection, size: int) -> list[int]:
    """The positions of rows that a log of `size` entries has not."""
    found = sa.select(_POSITION).where(~_POSITION.between(0, size - 1)).order_by(_POSITION)
    return list(connection.execute(found.limit(1000)).scalars())


def last_position(connection: sa.Connection) -> int:
    """The highest position there is; -1 for none."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(_POSITION), -1))).scalar_one())


def tile_count(connection: sa.Connection) -> int:
    """How many full tiles there are."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(tiles)).scalar_one())


def insert_checkpoint(connection: sa.Connection, size: int, note: str) -> None:
    """Keeps a checkpoint that was signed."""
    connection.execute(sa.insert(checkpoints).values(size=size, note=note))


def last_checkpoint(connection: sa.Connection) -> tuple[int, str] | None:
    """(size, note) of the checkpoint that was signed last."""
    row = connection.execute(_LAST_CHECKPOINT).one_or_none()
    return None if row is None else (int(row.size), str(row.note))


def all_checkpoints(connection: sa.Connection) -> list[tuple[int, str]]:
    """(size, note) of every checkpoint, smallest first."""
    found = connection.execute(sa.select(checkpoints.c.size, checkpoints.c.note).order_by(checkpoints.c.size))
    return [(int(size), str(note)) for size, note in found]


def forget_checkpoints(connection: sa.Connection) -> None:
    """Removes every checkpoint, for a log that begins anew under another key."""
    connection.execute(sa.delete(checkpoints))


class DatabaseTiles:
    """`tiles.TileSource`: full tiles from their rows, partial ones from what they are made of."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def hashes(self, tile: Tile) -> bytes:
        """See `TileSource.hashes`."""
        assert tile.level is not None
        first = tile.index * TILE_WIDTH
        if tile.is_full:
            found = (read_tile(self._connection, tile.level, tile.index) or (b"",))[0]
        elif tile.level == 0:
            found = leaf_hashes(self._connection, first, first + tile.width)
        else:
            found = tile_roots(self._connection, tile.level - 1, first, first + tile.width)
        if len(found) != tile.width * HASH_SIZE:
            raise Damaged(
                "the issuance log in the database is damaged",
                why=f"{tile.path} has {len(found)} bytes, expected {tile.width * HASH_SIZE}",
                hint="leafward ca log verify",
            )
        return found


def _has(connection: sa.Connection, line: str) -> sa.ColumnElement[bool]:
    wanted = f"\n{line}\n".encode()
    if connection.dialect.name == "sqlite":
        return sa.func.instr(entries.c.entry, wanted) > 0
    return sa.func.position(sa.literal(wanted).op("IN")(entries.c.entry)) > 0


def _as_head(row: Sequence[Any] | None) -> Head | None:
    if row is None:
        return None
    size, frontier, key = row
    if type(size) is not int or isinstance(frontier, str) or not isinstance(key, str | None):
        what = "the head of the issuance log is damaged"
        raise Damaged(what, why=f"got the size {size!r}", hint="leafward ca log verify")
    return Head(size, bytes(frontier), key)


def _bytes(value: Any) -> bytes:
    """What a row holds. SQLite gives text where somebody put text; it is compared like everything else."""
    return value.encode() if isinstance(value, str) else bytes(value)
