"""Verifies the log in the database: every entry is hashed anew, and all that is kept about them is held against it.

    entries -> leaf hashes -> tiles -> frontier -> signed checkpoints -> checkpoints that others hold
    entries <-> certificates in the inventory

The further to the right, the harder it is to change: a signature needs the log's key, and what others hold is out of
reach. Reads one instant of the database and keeps nobody waiting.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from leafward.errors import Damaged, EncodingError
from leafward.store.issuance_log import rows
from leafward.store.issuance_log.certificates import InventoryCheck
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.note import VerifierKey
from leafward.store.issuance_log.rows import Head
from leafward.store.issuance_log.signatures import Held, Signatures
from leafward.store.issuance_log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile
from leafward.store.issuance_log.tree import Frontier
from leafward.store.issuance_log.walk import Progress, Walk, Window

# Windows read at once.
_AHEAD = 16


def audit(
    engine: sa.Engine,
    *,
    now: datetime,
    key: VerifierKey | None = None,
    held: Sequence[Held] = (),
    progress: Progress | None = None,
) -> Report:
    """What differs. `key` is the log's public key as the caller knows it, or None to take the database's word for it.

    `held` are checkpoints kept elsewhere. Raises `StoreError` only where the database cannot be read at all.
    """
    report = Report()
    with rows.snapshot(engine) as connection:
        head, frontier = _head(connection, report)
        report.size = head.size
        kept = [
            Held(f"checkpoint {size} of the database", note.encode(), size)
            for size, note in rows.all_checkpoints(connection)
        ]
        signatures = Signatures(
            [*kept, *held], _key(head, key, report, is_signed=_is_signed(head, frontier, len(kept) + len(held))), report
        )
        root = frontier.root() if frontier is not None else None
        walk = Walk(_Database(connection), head.size, report, target=root, marks=signatures.sizes)
        inventory = InventoryCheck(connection, report, now=now)
        walk.run(inventory.window, progress)
        inventory.end(head.size)
        _compare_strays(connection, head.size, report)
        if frontier is not None and walk.broken_at is None:
            _compare_frontier(walk.frontier, frontier, report)
        signatures.compare(walk, head.size)
    report.root = None if walk.broken_at is not None else walk.frontier.root()
    return report


def _head(connection: sa.Connection, report: Report) -> tuple[Head, Frontier | None]:
    """The head, and its frontier unless that is damaged or goes too far; then the size is what the entries say."""
    last = rows.last_position(connection)
    key = None
    try:
        head = rows.read_head(connection)
        key = head.verifier_key
        if head.size == 0 and last >= 0:
            raise Damaged("the head of the log is gone")
        frontier = Frontier.from_bytes(head.size, head.frontier)
        if head.size <= last + 1:
            return head, frontier
        # Not walked to its end: a size that somebody wrote there may be any number.
        report.add("entry-missing", "is not there", last + 1, head.size - 1)
    except Damaged as error:
        report.add("head-changed", str(error))
    return Head(last + 1, b"", key), None


def _is_signed(head: Head, frontier: Frontier | None, checkpoints: int) -> bool:
    """Whether the database must have a key: one that is lost with the head is told with it."""
    return checkpoints > 0 and (frontier is not None or head.verifier_key is not None)


def _key(head: Head, expected: VerifierKey | None, report: Report, *, is_signed: bool) -> VerifierKey | None:
    try:
        kept = VerifierKey.parse(head.verifier_key) if head.verifier_key else None
    except EncodingError as error:
        report.add("key-changed", f"the log's key in the database cannot be read: {error}")
        return expected
    if expected is not None and kept != expected and (kept is not None or is_signed):
        report.add("key-changed", f"the database says {kept or 'that the log was never signed'}, expected {expected}")
    return expected or kept


def _compare_strays(connection: sa.Connection, size: int, report: Report) -> None:
    for position in rows.strays(connection, size):
        report.add("entry-inserted", "stands outside the log", position)
    expected, found = 0, rows.tile_count(connection)
    while size := size >> TILE_HEIGHT:
        expected += size
    if found > expected:
        report.add("tile-inserted", f"there are {found} tiles, expected {expected}")


def _compare_frontier(made: Frontier, kept: Frontier, report: Report) -> None:
    for (start, end, ours), (_, _, theirs) in zip(made.ranges(), kept.ranges(), strict=True):
        if ours != theirs:
            report.add("head-changed", "are not those that the head of the log was made of", start, end - 1)


class _Database:
    """`walk.LogSource`: the tables."""

    keeps_partial_tiles = False

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._ahead: dict[int, list[tuple[int, bytes, bytes]]] = {}

    def window(self, first: int, width: int) -> Window:
        """See `LogSource.window`."""
        if first not in self._ahead:
            self._ahead = {first + at * TILE_WIDTH: [] for at in range(_AHEAD)}
            for row in rows.entries_between(self._connection, first, first + _AHEAD * TILE_WIDTH):
                self._ahead[row[0] // TILE_WIDTH * TILE_WIDTH].append(row)
        found = [row for row in self._ahead[first] if row[0] < first + width]
        tile, root = rows.read_tile(self._connection, 0, first // TILE_WIDTH) or (None, None)
        return Window(
            first,
            width,
            {position - first: entry for position, entry, _ in found},
            {position - first: leaf for position, _, leaf in found},
            tile,
            root,
        )

    def tile(self, tile: Tile) -> tuple[bytes | None, bytes | None]:
        """See `LogSource.tile`."""
        assert tile.level is not None
        return rows.read_tile(self._connection, tile.level, tile.index) or (None, None)
