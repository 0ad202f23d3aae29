"""A home that two users share: what the manager shares, whom it knows as the hub's user, and what stays private."""

import os
import stat
from pathlib import Path

import pytest

from leafward.errors import SettingsError, StoreError
from leafward.manager.hub_user import hub_uid, management_mode, share_home
from leafward.store.database import open_database
from leafward.store.home import Home
from leafward.store.registry import Registry, metadata


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """With a path short enough for sockets, wherever the tests run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("leafward.store.home.LONGEST_SOCKET_PATH", 4096)
    made = Home(tmp_path / "home")
    made.root.mkdir(mode=0o700)
    return made


def test_without_another_user_nothing_is_shared(home: Home) -> None:
    share_home(home, None)
    assert list(home.root.iterdir()) == []
    assert mode(home.root) == 0o700
    assert management_mode(None) == 0o600


def test_what_is_shared(home: Home) -> None:
    share_home(home, "61002")
    assert (mode(home.root), mode(home.run), mode(home.registry)) == (0o2750, 0o3770, 0o660)
    assert home.make_socket_folder() == home.run
    assert management_mode("61002") == 0o660
    share_home(home, "61002")


def test_what_sqlite_keeps_beside_the_registry_is_shared_too(home: Home) -> None:
    share_home(home, "61002")
    with Registry.open(home.registry):
        assert {mode(path) for path in home.root.glob("registry.db*")} == {0o660}


def test_a_registry_of_before_is_shared_with_all_of_it(home: Home) -> None:
    with Registry.open(home.registry):
        assert mode(home.registry) == 0o600
        share_home(home, "61002")
        assert {mode(path) for path in home.root.glob("registry.db*")} == {0o660}


@pytest.mark.parametrize("given", [0o640, 0o664, 0o606, 0o666])
def test_a_database_that_nobody_shared_is_made_private(tmp_path: Path, given: int) -> None:
    """0660 is what `share_home` gives; anything else is an accident."""
    path = tmp_path / "x.db"
    path.touch()
    path.chmod(given)
    open_database(path, metadata).dispose()
    assert mode(path) == 0o600


@pytest.mark.parametrize("given", [0o770, 0o2770, 0o1770, 0o3777, 0o3775])
def test_a_socket_folder_that_is_open_in_another_way_is_refused(home: Home, given: int) -> None:
    home.run.mkdir()
    home.run.chmod(given)
    with pytest.raises(StoreError, match="cannot be trusted"):
        home.make_socket_folder()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_a_shared_folder_of_somebody_else_is_refused(home: Home) -> None:
    share_home(home, "61002")
    os.chown(home.run, 61009, os.getegid())
    with pytest.raises(StoreError, match="cannot be trusted"):
        home.make_socket_folder()
    os.chown(home.run, 0, 61009)
    home.run.chmod(0o3770)
    with pytest.raises(StoreError, match="cannot be trusted"):
        home.make_socket_folder()
    with pytest.raises(StoreError, match="got group 61009"):
        share_home(home, "61002")


def test_a_home_that_lies_too_deep_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.store.home.LONGEST_SOCKET_PATH", 40)
    with pytest.raises(StoreError, match="too long"):
        share_home(home, "61002")


def test_the_hubs_user_by_name_or_number() -> None:
    assert hub_uid(None) is None
    assert hub_uid("61002") == 61002
    assert hub_uid("root") == 0
    with pytest.raises(SettingsError, match="no user 'leafward-nobody-has-this'"):
        hub_uid("leafward-nobody-has-this")
