"""disk.py: files with explicit modes, and what is told when the disk refuses. Kills: tests/store/test_power_cut.py."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from leafward import disk
from leafward.errors import AlreadyExists, Damaged, NotFound, StoreError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(params=[0o000, 0o077, 0o777], ids=["umask000", "umask077", "umask777"])
def umask(request: pytest.FixtureRequest):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("write", [disk.write_file, disk.create_file])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_mode_is_the_one_asked_for(tmp_path: Path, umask, write, mode: int) -> None:
    write(tmp_path / "file", b"data", mode=mode)
    assert mode_of(tmp_path / "file") == mode
    assert disk.read_file(tmp_path / "file") == b"data"
    assert names(tmp_path) == ["file"]


def test_write_replaces_and_changes_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.write_file(path, b"old", mode=0o644)
    disk.write_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == 0o600


def test_write_replaces_a_link_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"victim")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    disk.write_file(tmp_path / "link", b"new", mode=0o600)
    assert (tmp_path / "victim").read_bytes() == b"victim"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("there", ["file", "folder", "dangling link"])
def test_create_never_overwrites(tmp_path: Path, there: str) -> None:
    path = tmp_path / "key.pem"
    match there:
        case "file":
            path.write_bytes(b"old")
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExists, match=r"key\.pem"):
        disk.create_file(path, b"new", mode=0o600)
    assert names(tmp_path) == ["key.pem"]


def test_of_several_creators_one_succeeds(tmp_path: Path) -> None:
    """8 threads create one path at once -> one AlreadyExists fewer than threads, and the winner's bytes."""
    path, start, won = tmp_path / "file", threading.Barrier(8), []

    def create(number: int) -> None:
        start.wait()
        try:
            disk.create_file(path, b"%d" % number, mode=0o600)
        except AlreadyExists:
            return
        won.append(b"%d" % number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [path.read_bytes()]


def test_missing_things_are_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"cannot read .*/gone"):
        disk.read_file(tmp_path / "gone")
    with pytest.raises(NotFound, match=r"cannot write .*/gone/file"):
        disk.write_file(tmp_path / "gone" / "file", b"", mode=0o600)


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    disk.remove_file(tmp_path / "gone")
    disk.remove_file(tmp_path / "no" / "such" / "folder" / "file")


def test_remove(tmp_path: Path) -> None:
    disk.write_file(tmp_path / "file", b"", mode=0o600)
    disk.remove_file(tmp_path / "file")
    assert names(tmp_path) == []


def test_too_large_a_file_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 11)
    assert len(disk.read_file(tmp_path / "file", limit=11)) == 11
    with pytest.raises(Damaged, match="more than 10 bytes"):
        disk.read_file(tmp_path / "file", limit=10)


def test_folder_where_a_file_belongs(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        disk.read_file(tmp_path)
    assert caught.value.hint == "a folder stands where a file belongs"


def test_make_folder_makes_parents_with_the_mode(tmp_path: Path, umask) -> None:
    disk.make_folder(tmp_path / "a" / "b", 0o750)
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a" / "b") == 0o750


def test_make_folder_leaves_an_existing_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    (tmp_path / "a").chmod(0o755)
    disk.make_folder(tmp_path / "a")
    assert mode_of(tmp_path / "a") == 0o755


def test_make_folder_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(StoreError, match="cannot make the folder"):
            disk.make_folder(folder)


def test_leftovers_are_those_of_this_name_only(tmp_path: Path) -> None:
    mine = tmp_path / ".key.pem.0123abcd.new"
    for name in (mine.name, ".other-key.pem.0123abcd.new", ".x.key.pem.0123abcd.new", "key.pem", ".key.pem.new"):
        (tmp_path / name).write_bytes(b"")
    assert disk.leftovers(tmp_path / "key.pem") == [mine]
    assert disk.leftovers(tmp_path / "gone" / "key.pem") == []


CALLS = {
    "open": disk.write_file,
    "fchmod": disk.write_file,
    "fsync": disk.write_file,
    "rename": disk.write_file,
    "link": disk.create_file,
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT], ids=os.strerror)
@pytest.mark.parametrize("call", CALLS)
def test_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Each system call fails -> StoreError with path, cause and hint; the old file stands, nothing lies beside it."""
    path = tmp_path / "file"
    if CALLS[call] is disk.write_file:
        path.write_bytes(b"old")
    before = [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()]

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StoreError) as caught:
            CALLS[call](path, b"new", mode=0o600)
    assert str(path) in caught.value.what
    assert caught.value.why == os.strerror(number)
    assert caught.value.hint
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == before


def test_first_error_is_told_when_cleaning_up_fails_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(number: int):
        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        return refuse

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refusing(errno.ENOSPC))
        patch.setattr(os, "unlink", refusing(errno.EIO))
        with pytest.raises(StoreError) as caught:
            disk.write_file(tmp_path / "file", b"new", mode=0o600)
    assert caught.value.why == os.strerror(errno.ENOSPC)


def test_errno_without_hint_is_told_all_the_same() -> None:
    with pytest.raises(StoreError) as caught, disk.told("cannot do it"):
        raise OSError(errno.ELOOP, "x")
    assert str(caught.value) == f"cannot do it: {os.strerror(errno.ELOOP)}"
