"""The harness finds what it is for: a file that was not flushed is lost by a power cut, one that was is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from leafward import disk
from tests.faults.power_cut import CUTS, Cut, Unflushed
from tests.faults.seam import Seam


class Stop(Exception):
    """The power goes."""


def careless(path: Path) -> None:
    """Write new, rename, and no flush of anything."""
    import os

    new = path.with_name("new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, b"new")
    os.close(descriptor)
    new.rename(path)


def careful(path: Path) -> None:
    disk.write_file(path, b"new", mode=0o600)


def after_a_cut(home: Path, act: Callable[[Path], None], cut: Cut, at: int | None = None) -> bytes | None:
    """What the file holds when the power goes before step `at`, or right after the act; None where it is gone."""
    home.mkdir()
    path = home / "file"
    path.write_bytes(b"old")
    journal = Unflushed(home, home.with_name(f"{home.name}.aside"))
    steps: list[str] = []

    def before(name: str, _path: Path) -> None:
        if len(steps) == at:
            seam.__exit__()
            raise Stop
        steps.append(name)

    seam = Seam(home, before, journal)
    try:
        with seam:
            act(path)
    except Stop:
        pass
    journal.cut(cut, 1)
    return path.read_bytes() if path.exists() else None


def test_what_was_not_flushed_is_lost(tmp_path: Path) -> None:
    found = {cut: after_a_cut(tmp_path / cut, careless, cut) for cut in CUTS}
    assert found == {"names": b"old", "bytes": b"", "zeros": bytes(3), "some names": found["some names"]}
    assert found["some names"] in {b"old", b"new", b""}


@pytest.mark.parametrize("cut", CUTS)
def test_what_was_flushed_stays(tmp_path: Path, cut: Cut) -> None:
    assert after_a_cut(tmp_path / "home", careful, cut) == b"new"


@pytest.mark.parametrize("cut", CUTS)
def test_a_write_cut_anywhere_leaves_the_old_or_the_new(tmp_path: Path, cut: Cut) -> None:
    found = [after_a_cut(tmp_path / str(at), careful, cut, at) for at in range(9)]
    assert set(found) == {b"old", b"new"}
    assert found == sorted(found, key=lambda data: data == b"new")
