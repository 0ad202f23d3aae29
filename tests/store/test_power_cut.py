"""disk.py under kills and power cuts: the old file, the new one, and nothing between."""

from pathlib import Path

from leafward.disk import PRIVATE, create_file, leftovers, make_folder, remove_file, write_file


def old(root: Path) -> None:
    (root / "file").write_bytes(b"old")


def nothing(_root: Path) -> None:
    pass


def read(folder: Path) -> bytes | None:
    path = folder / "file"
    return path.read_bytes() if path.exists() else None


def ended(story: str) -> bool:
    return "after the end" in story


def test_write_file(faults) -> None:
    """old -> write_file(new), killed or power cut at each call: old or new, never a part; new once it returned."""
    found = set()
    for folder, story in faults.kills(old, lambda root: write_file(root / "file", b"new", mode=PRIVATE)):
        found.add(read(folder))
        assert read(folder) == b"new" or not ended(story), story
    assert found == {b"old", b"new"}


def test_create_file(faults) -> None:
    """nothing -> create_file, likewise: nothing, or the whole file; what a kill leaves beside it is found."""
    found = set()
    for folder, story in faults.kills(nothing, lambda root: create_file(root / "file", b"new", mode=PRIVATE)):
        found.add(read(folder))
        assert read(folder) == b"new" or not ended(story), story
        for leftover in leftovers(folder / "file"):
            remove_file(leftover)
        assert {path.name for path in folder.iterdir()} <= {"file"}, story
    assert found == {None, b"new"}


def test_remove_file(faults) -> None:
    """old -> remove_file, likewise: old, or gone; gone once it returned."""
    for folder, story in faults.kills(old, lambda root: remove_file(root / "file")):
        assert read(folder) in (b"old", None), story
        assert read(folder) is None or not ended(story), story


def test_make_folder(faults) -> None:
    """nothing -> make_folder(a/b/c): all three are there once it returned."""
    for folder, story in faults.kills(nothing, lambda root: make_folder(root / "a" / "b" / "c")):
        assert (folder / "a" / "b" / "c").is_dir() or not ended(story), story
