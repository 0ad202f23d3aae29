"""`leafward trust` as a person calls it, on a private tree of Debian's.

root (the home's trust/root.pem) -> the tree's bundle and out of it again
"""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leafward.cli import main
from leafward.cli.trust import find
from leafward.cli.trust.linux_stores import Debian
from tests.hand_made import write_root

pytestmark = pytest.mark.skipif(shutil.which("update-ca-certificates") is None, reason="needs Debian's ca-certificates")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a root, on a machine that is Debian."""
    tree = tmp_path / "tree"
    for folder in ("usr/local/share/ca-certificates", "etc/ssl/certs"):
        (tree / folder).mkdir(parents=True)
    (tree / "etc/ca-certificates.conf").write_text("")
    # As everywhere, ours is not the only root: Debian's script leaves the bundle as it is where none is left.
    write_root(tree / "usr/local/share/ca-certificates" / "theirs.crt")
    monkeypatch.setattr(find, "system_store", lambda _machine: Debian(tree))
    monkeypatch.setattr(find, "java_stores", lambda _machine: [])
    home = tmp_path / "home"
    (home / "trust").mkdir(parents=True)
    write_root(home / "trust" / "root.pem", "Plant Root")
    monkeypatch.setenv("LEAFWARD_HOME", str(home))
    monkeypatch.setenv("HOME", str(tmp_path))
    return home


def facts(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_install_show_uninstall(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["trust", "show"]) == 1
    assert "not trusted" in capsys.readouterr().out
    assert main.run(["trust", "install", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "Plant Root  sha256" in said
    assert "installed      the certificates of Debian and Ubuntu" in said
    assert "update-ca-certificates --certsconf" in said
    assert main.run(["trust", "install", "--json"]) == 0
    (store,) = facts(capsys)["stores"]
    assert (store["did"], store["note"], store["steps"]) == ("nothing", "trusted already", [])
    assert main.run(["trust", "show", "--json"]) == 0
    (store,) = facts(capsys)["stores"]
    assert (store["kind"], store["trusted"], store["by_leafward"]) == ("system", True, True)
    assert main.run(["trust", "uninstall", "--yes", "--json"]) == 0
    assert facts(capsys)["stores"][0]["did"] == "removed"
    assert main.run(["trust", "uninstall"]) == 0
    assert "it is not there" in capsys.readouterr().out


def test_nothing_is_changed_unless_agreed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(tmp_path.rglob("*"))
    assert main.run(["trust", "install", "--dry-run", "--json"]) == 0
    (store,) = facts(capsys)["stores"]
    assert store["did"] == "would install"
    assert [step.split()[0] for step in store["steps"]] == ["write", "update-ca-certificates"]
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main.run(["trust", "install"]) == 1
    assert "Let everything that reads the certificates of Debian and Ubuntu" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == files


def test_a_development_root_is_warned_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "maker").mkdir()
    (home / "maker" / "development.json").write_text("{}")
    assert main.run(["trust", "install", "--dry-run"]) == 0
    assert "this is a development root" in capsys.readouterr().err


def test_no_root_and_no_store(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["trust", "show", "--store", "nss"]) == 3
    assert "no trust store found (nss)" in capsys.readouterr().err
    (home / "trust" / "root.pem").unlink()
    assert main.run(["trust", "install"]) == 3
    assert "this home has no edge yet" in capsys.readouterr().err
    assert main.run(["trust", "install", "--root", str(tmp_path / "no.pem")]) == 3
