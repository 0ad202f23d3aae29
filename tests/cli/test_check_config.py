"""`leafward manager check-config`: its exit codes, its lines, its JSON. In this process: no other is the point."""

import json
from pathlib import Path

import pytest

from leafward.cli.main import run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def check(home: Path, *arguments: str) -> int:
    return run(["manager", "check-config", "--home", str(home), *arguments])


def test_a_home_without_settings_is_well(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(home) == 0
    assert capsys.readouterr().out == f"{home}/leafward.toml: no faults\n"
    assert list(home.iterdir()) == []


def test_every_table_of_every_part_is_checked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "[device]\nhostnam = 'x'\n[hub]\nlimit = 1\n[provisioning]\nid = 1\n[maker]\ncrl_day = 1\n"
    (home / "leafward.toml").write_text(f"{text}[est]\nlabel = 1\n[hob]\n")
    assert check(home) == 1
    rows = capsys.readouterr().out.splitlines()
    assert [row.partition(": ")[0] for row in rows] == [f"{home}/leafward.toml:{line}" for line in (2, 4, 6, 8, 10, 11)]
    assert rows[0].endswith(": device.hostnam: not known, did you mean 'hostname'?")
    assert rows[5].endswith(": hob: not known, did you mean 'hub'?")


def test_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "leafward.toml").write_text("[manager]\nlog = 'xml'\n")
    assert check(home, "--json") == 1
    (fault,) = json.loads(capsys.readouterr().out)
    assert fault == {
        "file": f"{home}/leafward.toml",
        "line": 2,
        "key": "manager.log",
        "expected": "'text' or 'json'",
        "got": "'xml'",
        "nearest": None,
        "message": "got 'xml', expected 'text' or 'json'",
    }
    (home / "leafward.toml").write_text("")
    assert check(home, "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_is_no_toml(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "leafward.toml").write_text("[device]\nhostname = \n")
    assert check(home) == 1
    assert capsys.readouterr().out.startswith(f"{home}/leafward.toml:2: Invalid value")


def test_the_file_of_leaf_cas(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "leafward.toml").write_text("[hub]\nleaf_cas = 'no.pem'\n")
    assert check(home) == 1
    assert capsys.readouterr().out.startswith(f"{home}/leafward.toml:2: hub.leaf_cas: ")


def test_a_file_of_iotedge(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text("hostnam = 'x'\n[provisioning]\nsource = 'none'\n[agent]\n")
    assert check(home, str(path)) == 1
    assert capsys.readouterr().out == f"{path}:1: hostnam: not known, did you mean 'hostname'?\n"
    path.write_text("hostname = 'gw.local'\n[provisioning]\nsource = 'none'\n[agent]\n")
    assert check(home, str(path)) == 0
    told = capsys.readouterr()
    assert told.out == f"{path}: no faults\n"
    assert f"warning: {path}:4: agent: leafward starts no containers" in told.err


def test_a_file_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("leafward.toml", "config.yaml", "config.toml"):
        assert check(home, str(home / name)) == 3
        assert "does not exist" in capsys.readouterr().err
    assert check(home, str(home)) == 3
