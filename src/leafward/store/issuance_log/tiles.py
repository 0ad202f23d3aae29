"""C2SP tlog-tiles: the tree as static files of up to 256 hashes or entries each, and the paths they have. Pure.

A tile of level L holds nodes of height 8 L; a full one is one node of the level above. Bundles hold the entries
themselves, each behind its length. What is beyond the last full tile stands in a partial one, named by its width.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from leafward.errors import EncodingError
from leafward.store.issuance_log.tree import HASH_SIZE, pyramid

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
# tlog-tiles: a level is 0 to 63, and an entry's length has two bytes.
HIGHEST_LEVEL = 63
MAX_ENTRY_SIZE = 0xFFFF

_LENGTH_SIZE = 2
_KEPT_TILES = 64
_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: hashes of `level`, or a bundle of entries where `level` is None. `width` hashes or entries."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it lies below the log's prefix.

        >>> Tile(0, 1234067, 8).path
        'tile/0/x001/x234/067.p/8'
        """
        folder = "entries" if self.level is None else str(self.level)
        partial = "" if self.is_full else f".p/{self.width}"
        return f"tile/{folder}/{_index_path(self.index)}{partial}"

    @property
    def is_full(self) -> bool:
        """Whether it is 256 wide, so that it never changes again."""
        return self.width == TILE_WIDTH

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Reads a path. Raises `EncodingError` for one that tlog-tiles does not give."""
        match = _PATH.fullmatch(path)
        if match:
            folder, index, width = match.groups()
            level = None if folder == "entries" else int(folder)
            tile = cls(level, int(index.replace("x", "").replace("/", "")), int(width or TILE_WIDTH))
            if (level or 0) <= HIGHEST_LEVEL and tile.width <= TILE_WIDTH and tile.path == path:
                return tile
        raise EncodingError(f"{path!r} is no path of a tile", why="expected tile/<L>/<N>[.p/<W>] or tile/entries/<N>…")


def tiles_of(size: int, *, beyond: int = 0) -> Iterator[Tile]:
    """The tiles and bundles of a tree of `size` leaves that a tree of `beyond` leaves has not: bundles first.

    >>> [tile.path for tile in tiles_of(257)]
    ['tile/entries/000', 'tile/entries/001.p/1', 'tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1']
    """
    yield from _tiles_of_level(None, size, beyond)
    level = 0
    while size:
        yield from _tiles_of_level(level, size, beyond)
        level, size, beyond = level + 1, size >> TILE_HEIGHT, beyond >> TILE_HEIGHT


def width_of(level: int | None, index: int, size: int) -> int:
    """How wide the tile or bundle `index` is in a tree of `size` leaves; 0 or less where there is none."""
    return min(TILE_WIDTH, (size >> TILE_HEIGHT * (level or 0)) - index * TILE_WIDTH)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries one behind the other, each after its length. Raises `ValueError` for one of more than 65,535 bytes."""
    return b"".join(part for entry in entries for part in (_length(entry), entry))


def decode_bundle(data: bytes) -> list[bytes]:
    """Reads what `encode_bundle` wrote. Raises `EncodingError` for one that is cut or has more than 256 entries."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + _LENGTH_SIZE
        end = start + int.from_bytes(data[at:start], "big")
        if end > len(data) or start > len(data):
            raise EncodingError("the bundle of entries is cut", why=f"got {len(data)} bytes, expected {end} or more")
        entries.append(data[start:end])
        at = end
    if len(entries) > TILE_WIDTH:
        raise EncodingError(
            "the bundle of entries is too wide", why=f"got {len(entries)}, expected {TILE_WIDTH} at most"
        )
    return entries


class TileSource(Protocol):
    """Where tiles are kept: a database, or a folder."""

    def hashes(self, tile: Tile) -> bytes:
        """The hashes of `tile`, as many as it is wide, 32 bytes each. Raises `Damaged` when they are not there."""


class TileNodes:
    """The nodes of the tree of `size` leaves, out of its tiles: what proofs are made of. Keeps the last tiles read."""

    def __init__(self, source: TileSource, size: int) -> None:
        self._source = source
        self._size = size
        self._kept: OrderedDict[Tile, list[bytes]] = OrderedDict()

    def __call__(self, height: int, index: int) -> bytes:
        """See `tree.Node`. Raises `Damaged` when the tile is not there."""
        level, above = divmod(height, TILE_HEIGHT)
        number, at = divmod(index, TILE_WIDTH >> above)
        wide = width_of(level, number, self._size)
        if (at + 1) << above > wide:
            raise ValueError(f"no node {index} of height {height} in a tree of {self._size}")
        return self._heights(Tile(level, number, wide))[above][at * HASH_SIZE : (at + 1) * HASH_SIZE]

    def _heights(self, tile: Tile) -> list[bytes]:
        found = self._kept.get(tile)
        if found is None:
            found = self._kept[tile] = pyramid(self._source.hashes(tile))
            if len(self._kept) > _KEPT_TILES:
                self._kept.popitem(last=False)
        return found


def _tiles_of_level(level: int | None, count: int, beyond: int) -> Iterator[Tile]:
    """`count` hashes or entries cut into tiles; without those that are complete, or the same, at `beyond`."""
    if count == beyond:
        return
    for index in range(beyond // TILE_WIDTH, count // TILE_WIDTH):
        yield Tile(level, index)
    if count % TILE_WIDTH:
        yield Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)


def _index_path(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def _length(entry: bytes) -> bytes:
    if len(entry) > MAX_ENTRY_SIZE:
        raise ValueError(f"an entry of {len(entry)} bytes does not fit a bundle")
    return len(entry).to_bytes(_LENGTH_SIZE, "big")
