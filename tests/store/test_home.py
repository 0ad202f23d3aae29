"""store/home.py: one place for every path, and sockets whose paths fit into the kernel's limit."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from leafward.errors import StoreError
from leafward.store.home import LONGEST_SOCKET_PATH, Home

SOCKETS = ("workload_socket", "management_socket", "provisioning_socket")


def deep(tmp_path: Path) -> Path:
    return tmp_path / ("d" * 60) / ("e" * 60)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("settings", "leafward.toml"),
        ("maker", "maker"),
        ("manager", "manager"),
        ("registry", "registry.db"),
        ("hub", "hub"),
        ("messages", "hub/messages.db"),
        ("devices", "devices"),
        ("trust", "trust"),
        ("root_certificate", "trust/root.pem"),
        ("trust_bundle", "trust/trust-bundle.pem"),
        ("run", "run"),
        ("ready", "run/ready.json"),
        ("lock", "run/lock"),
        ("workload_socket", "run/workload.sock"),
        ("management_socket", "run/management.sock"),
        ("provisioning_socket", "run/provisioning.sock"),
    ],
)
def test_paths(name: str, path: str) -> None:
    assert getattr(Home(Path("/srv/edge")), name) == Path("/srv/edge") / path


def test_root_is_absolute_and_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Home(Path("edge")).root == tmp_path / "edge"
    assert Home(Path("~/edge")).root == Path("/home/somebody/edge")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LEAFWARD_HOME": "/srv/edge", "XDG_DATA_HOME": "/data"}, "/srv/edge"),
        ({"XDG_DATA_HOME": "/data"}, "/data/leafward"),
        ({"XDG_DATA_HOME": "relative"}, "/home/somebody/.local/share/leafward"),
        ({"XDG_DATA_HOME": "", "LEAFWARD_HOME": ""}, "/home/somebody/.local/share/leafward"),
        ({}, "/home/somebody/.local/share/leafward"),
    ],
)
def test_default(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name in ("LEAFWARD_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Home.default().root == Path(expected)


@pytest.mark.parametrize("name", SOCKETS)
def test_sockets_of_a_deep_home_are_short(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A home too deep for a socket -> the same short folder for every process, another for every home."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    one, same, other = (Home(deep(Path("/srv", end))) for end in ("a", "a", "b"))
    path = getattr(one, name)
    assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
    assert path == getattr(same, name) != getattr(other, name)
    assert path.parent.name.startswith(f"leafward-{os.getuid()}-")


def test_sockets_stay_together_at_the_limit() -> None:
    """Roots around the limit -> all three sockets in one folder, none longer than the limit."""
    folders = set()
    for length in range(60, 100):
        home = Home(Path("/" + "r" * length))
        paths = [getattr(home, name) for name in SOCKETS]
        assert len({path.parent for path in paths}) == 1
        assert max(len(os.fsencode(path)) for path in paths) <= LONGEST_SOCKET_PATH
        folders.add(paths[0].parent == home.run)
    assert folders == {True, False}


def test_deep_temporary_folder_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(deep(tmp_path)))
    assert Home(deep(tmp_path)).sockets.parent == Path("/tmp")


@pytest.fixture
def deep_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    """A home whose sockets lie in a temporary folder of this test's own."""
    monkeypatch.setattr("leafward.store.home.LONGEST_SOCKET_PATH", len(str(tmp_path)) + 70)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    home = Home(deep(tmp_path))
    assert home.sockets.parent == tmp_path
    return home


def test_socket_folder_is_private(deep_home: Home, tmp_path: Path) -> None:
    for home in (deep_home, Home(tmp_path / "h")):
        for _ in range(2):
            folder = home.make_socket_folder()
            assert folder == home.workload_socket.parent
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["open folder", "link"])
def test_socket_folder_made_by_somebody_else_is_refused(deep_home: Home, tmp_path: Path, trap: str) -> None:
    """/tmp is everybody's: a folder or link of that name that is not ours alone -> StoreError, and what to do."""
    if trap == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        deep_home.sockets.symlink_to(tmp_path / "elsewhere")
    else:
        deep_home.sockets.mkdir()
        deep_home.sockets.chmod(0o777)
    with pytest.raises(StoreError, match="cannot be trusted") as caught:
        deep_home.make_socket_folder()
    assert caught.value.hint


def test_socket_folder_of_another_user_is_refused(deep_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = deep_home.make_socket_folder()
    monkeypatch.setattr("leafward.store.home.Home.sockets", folder)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(StoreError, match="expected owner"):
        deep_home.make_socket_folder()


def test_rooms_that_every_command_loads_are_light() -> None:
    """Importing home, lock, slots and the key interface -> neither SQLAlchemy nor sqlite3 nor asyncio is loaded."""
    program = (
        "import sys; import leafward.store.home, leafward.store.lock, leafward.store.slots;"
        "print([name for name in ('sqlalchemy', 'sqlite3', 'asyncio', 'cryptography') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout == "[]\n"
