"""One pass over a log, from the first entry to the last: everything is hashed anew and compared with what is kept.

The same walk reads the database and exported files. It never stops at a fault: where an entry is not what its tile
says, it goes on with the tile's hash, so that one changed entry is one difference and not a wrong root hash besides.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from leafward.store.issuance_log.difference import CHANGED, Difference, Report, differing
from leafward.store.issuance_log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tiles_of
from leafward.store.issuance_log.tree import HASH_SIZE, Frontier, leaf_hash, pyramid

# (entries done, entries in all)
Progress = Callable[[int, int], None]


@dataclass
class Window:
    """What is kept about up to 256 entries: those themselves, the hashes beside them, their tile and its root."""

    first: int
    width: int
    entries: dict[int, bytes]
    leaves: dict[int, bytes] = field(default_factory=dict)
    tile: bytes | None = None
    tile_root: bytes | None = None


class LogSource(Protocol):
    """Where a log is kept."""

    # Whether each window must have its tile: the last one in a database has none yet.
    keeps_partial_tiles: bool

    def window(self, first: int, width: int) -> Window:
        """The entries from `first` on. What is not there is left out; nothing is judged."""

    def tile(self, tile: Tile) -> tuple[bytes | None, bytes | None]:
        """(hashes, root) of a tile above the lowest level; None for what is not kept."""


class Walk:
    """The pass. `roots` has the root hash at each size of `marks`, as far as it could be told."""

    def __init__(
        self, source: LogSource, size: int, report: Report, *, target: bytes | None, marks: Iterable[int]
    ) -> None:
        self._source = source
        self._size = size
        self._report = report
        self._target = target
        self._marks = sorted({mark for mark in marks if 0 < mark <= size})
        self._nodes: dict[int, list[bytes]] = {}
        self.frontier = Frontier()
        self.roots: dict[int, bytes] = {}
        self._moved = False
        # From here on hashes are missing, and no root can be told.
        self.broken_at: int | None = None

    def run(self, each: Callable[[Window], None] | None = None, progress: Progress | None = None) -> None:
        """Walks. `each` sees every window, after it was compared."""
        for first in range(0, self._size, TILE_WIDTH):
            window = self._source.window(first, min(TILE_WIDTH, self._size - first))
            self._extend(window, self._compared(window))
            if each is not None:
                each(window)
            if progress is not None:
                progress(first + window.width, self._size)
        if self.broken_at is None:
            self._compare_upper_tiles()

    def _compared(self, window: Window) -> list[bytes | None]:
        """The leaf hashes to go on with; what differs from them is reported."""
        hashes = {at: leaf_hash(entry) for at, entry in window.entries.items()}
        believed = self._believed(window, hashes)
        for at in range(window.width):
            if at not in hashes:
                self._report.add("entry-missing", "is not there", window.first + at)
        whole = [hashed for hashed in believed if hashed is not None]
        if len(hashes) == window.width == len(whole):
            self._tell(window, differing(window.first, [hashes[at] for at in range(window.width)], whole))
        else:
            for at, hashed in hashes.items():
                if believed[at] not in {None, hashed}:
                    self._report.add("entry-changed", CHANGED, window.first + at)
        if window.tile is not None and window.width < TILE_WIDTH and hashes.keys() == set(range(window.width)):
            self._compare_partial_tile(window, [hashes[at] for at in range(window.width)], whole)
        for at, kept in window.leaves.items():
            if kept != believed[at] and hashes.get(at) == believed[at]:
                self._report.add("leaf-hash-changed", "the hash kept beside it is not its own", window.first + at)
        return believed

    def _compare_partial_tile(self, window: Window, hashes: list[bytes], believed: list[bytes]) -> None:
        """A partial tile has no root of its own: it is wrong where the entries lead to the root hash and it not."""
        if (
            hashes == believed
            and b"".join(believed) != window.tile
            and len(window.tile or b"") == len(b"".join(believed))
        ):
            tile = Tile(0, window.first // TILE_WIDTH, window.width)
            self._report.add("tile-changed", f"{tile.path} is not what its entries make")

    def _tell(self, window: Window, found: Sequence[Difference]) -> None:
        """Reports what differs in a window. Behind a removed or inserted entry, all that follows has moved."""
        for one in found:
            if one.code not in {"entry-removed", "entry-inserted"}:
                self._report.add_all([one])
            elif one.first == window.first and self._moved:
                self._report.add(
                    "entry-moved", "stands where another was logged", one.first, window.first + window.width - 1
                )
            else:
                self._report.add_all([one])
                self._moved = True

    def _believed(self, window: Window, hashes: dict[int, bytes]) -> list[bytes | None]:
        places = range(window.width)
        candidates = []
        if tile := self._sound_tile(window, b"".join(hashes[at] for at in sorted(hashes))):
            candidates.append([tile[at * HASH_SIZE : (at + 1) * HASH_SIZE] for at in places])
        if len(window.leaves) == window.width:
            candidates.append([window.leaves[at] for at in places])
        if len(hashes) == window.width:
            candidates.append([hashes[at] for at in places])
        if window.first + window.width == self._size:
            # Nothing above says which is right where they differ; the root over all does.
            candidates.sort(key=lambda leaves: not self._leads_to_target(leaves))
        if candidates:
            return list(candidates[0])
        return [window.leaves.get(at, hashes.get(at)) for at in places]

    def _sound_tile(self, window: Window, hashes: bytes) -> bytes | None:
        """The tile of a window, unless it is missing or damaged, which is reported."""
        tile = Tile(0, window.first // TILE_WIDTH, window.width)
        if window.tile is None:
            if tile.is_full or self._source.keeps_partial_tiles:
                self._report.add("tile-missing", f"{tile.path} is not there")
            return None
        if len(window.tile) != window.width * HASH_SIZE:
            self._report.add("tile-changed", f"{tile.path} has the wrong size")
            return None
        if window.tile_root is None or pyramid(window.tile)[-1] == window.tile_root:
            return window.tile
        # Either the hashes are wrong or their root is; the entries say which. A root of a file is told with its own.
        if window.tile != hashes or not self._source.keeps_partial_tiles:
            self._report.add("tile-changed", f"{tile.path} is not what its root says")
        return window.tile if window.tile == hashes else None

    def _leads_to_target(self, leaves: Sequence[bytes]) -> bool:
        if self.broken_at is not None or self._target is None:
            return False
        end = Frontier(self.frontier.size, self.frontier.nodes)
        end.extend(leaves)
        return end.root() == self._target

    def _extend(self, window: Window, leaves: Sequence[bytes | None]) -> None:
        known = [leaf for leaf in leaves if leaf is not None]
        if self.broken_at is None and len(known) < window.width:
            self.broken_at = window.first
        if self.broken_at is not None:
            return
        end = window.first + window.width
        stops = [mark for mark in self._marks if window.first < mark < end]
        for stop in (*stops, end):
            for height, _, node in self.frontier.extend(known[self.frontier.size - window.first : stop - window.first]):
                self._nodes.setdefault(height // TILE_HEIGHT, []).append(node)
            if stop in self._marks:
                self.roots[stop] = self.frontier.root()

    def _compare_upper_tiles(self) -> None:
        for tile in tiles_of(self._size):
            if not tile.level or not (tile.is_full or self._source.keeps_partial_tiles):
                continue
            hashes, root = self._source.tile(tile)
            first = tile.index * TILE_WIDTH
            made = b"".join(self._nodes.get(tile.level, [])[first : first + tile.width])
            if hashes is None:
                self._report.add("tile-missing", f"{tile.path} is not there")
            elif hashes != made or (root is not None and root != pyramid(made)[-1]):
                self._report.add("tile-changed", f"{tile.path} is not what the entries below it make")
