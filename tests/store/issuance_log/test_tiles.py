"""C2SP tlog-tiles: paths, bundles and which tiles there are, by the examples of its text and by its formulas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.store.issuance_log.tiles import (
    Tile,
    TileNodes,
    decode_bundle,
    encode_bundle,
    tiles_of,
    width_of,
)
from leafward.store.issuance_log.tree import Frontier, leaf_hash, pyramid, range_root

tiles = st.builds(Tile, st.none() | st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))


def test_the_path_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(63, 999, 255), "tile/63/999.p/255"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
        (Tile(None, 1000000), "tile/entries/x001/x000/000"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@given(tiles)
def test_paths_are_read_back(tile: Tile) -> None:
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p",
        "tile/entries/x1/000",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/data/000",
        "tile/0/٠٠٠",  # noqa: RUF001 - Arabic digits are digits to Python, and none to tlog-tiles
        "tile/0/../000",
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(EncodingError, match="no path of a tile"):
        Tile.parse(path)


def test_the_tree_of_70000_of_the_specification() -> None:
    """273 full tiles and one of 112 at level 0, one full and one of 17 at level 1, one of 1 at level 2."""
    found = list(tiles_of(70_000))
    assert [sum(t.level == level and t.is_full for t in found) for level in (None, 0, 1, 2)] == [273, 273, 1, 0]
    assert [(t.level, t.index, t.width) for t in found if not t.is_full] == [
        (None, 273, 112),
        (0, 273, 112),
        (1, 1, 17),
        (2, 0, 1),
    ]


def test_the_tree_of_256_of_the_specification() -> None:
    assert [tile.path for tile in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == []


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_what_grows_is_what_a_reader_lacks(one: int, other: int) -> None:
    """The tiles of a size are those of a smaller one that stay, and those that come."""
    old, new = sorted((one, other))
    before, after, added = set(tiles_of(old)), set(tiles_of(new)), list(tiles_of(new, beyond=old))
    assert len(set(added)) == len(added)
    assert set(added) == after - before
    assert all(width_of(tile.level, tile.index, new) == tile.width for tile in after)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_are_read_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_a_bundle_is_lengths_and_entries() -> None:
    assert encode_bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    assert len(encode_bundle([b"x" * 65535])) == 65537
    with pytest.raises(ValueError, match="65536"):
        encode_bundle([b"x" * 65536])


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x00\xff"])
def test_a_cut_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError, match="is cut"):
        decode_bundle(data)


def test_a_bundle_of_257_is_refused() -> None:
    with pytest.raises(EncodingError, match="too wide"):
        decode_bundle(b"\x00\x00" * 257)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_bundle_or_refused(data: bytes) -> None:
    try:
        entries = decode_bundle(data)
    except EncodingError:
        return
    assert encode_bundle(entries) == data


class _Tiles:
    """`TileSource` over leaf hashes."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def hashes(self, tile: Tile) -> bytes:
        assert tile.level is not None
        under = 256**tile.level
        first = tile.index * 256
        spans = ((first + at) * under for at in range(tile.width))
        return b"".join(pyramid(b"".join(self.leaves[start : start + under]))[-1] for start in spans)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 65_536 + 300])
def test_nodes_out_of_tiles(size: int) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    frontier = Frontier()
    frontier.extend(leaves)
    nodes = TileNodes(_Tiles(leaves), size)
    assert range_root(0, size, nodes) == frontier.root()
    with pytest.raises(ValueError, match="no node"):
        nodes(0, size)
