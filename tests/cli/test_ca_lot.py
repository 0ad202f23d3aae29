"""`leafward ca lot`: a factory's lot by its commands, as text and as JSON."""

import json
import os
import pty
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.authority.lot_line import csr, json_line, pem
from tests.cli.test_ca import ca, openssl_verify
from tests.edge import LEAFWARD, leafward, leafward_json


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """root -> Factory CA."""
    ca(tmp_path, "init", "--cn", "Root")
    ca(tmp_path, "intermediate", "Factory CA")
    return tmp_path


def requests(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.csr").write_bytes(pem(csr(name)))
    return folder


def test_a_lot_as_text(home: Path) -> None:
    """open, issue a folder with a bad request, status, close, and no further issue."""
    done = leafward("ca", "lot", "open", "--quota", "5", "--profile", "device_ca", "--lot", "spring", home=home)
    assert done.stdout == "lot spring: 5 of device_ca, signed by factory-ca\n"
    folder = requests(home / "requests", "gw-1", "gw-2")
    (folder / "bad.csr").write_text("no request")
    out = home / "out"
    done = leafward("ca", "lot", "issue", str(folder), "--out", str(out), home=home)
    assert done.returncode == 0, done.stderr
    assert "lot spring: 2 issued" in done.stdout
    assert "1 rejected" in done.stdout
    root = home / "maker" / "authorities" / "root" / "certificate.pem"
    assert openssl_verify(root, out / "gw-1.pem").endswith(": OK\n")
    assert "2 of" in leafward("ca", "lot", "status", home=home).stdout
    done = leafward("ca", "lot", "close", "--spoiled", "gw-2", home=home)
    assert "bad.csr: " in done.stdout
    assert "gw-2" in done.stdout
    done = leafward("ca", "lot", "issue", "spring", str(folder), home=home)
    assert done.returncode == 3
    assert "is closed" in done.stderr
    assert "open another one" in done.stderr


def test_a_lot_as_json(home: Path) -> None:
    opened = leafward_json("ca", "lot", "open", "--quota", "2", "--profile", "leaf_device", "--days", "90", home=home)
    assert (opened["quota"], opened["profile"], opened["days"], opened["closed"]) == (2, "leaf_device", 90, None)
    lines = "".join(json_line(csr("ignored"), name) for name in ("pump-1", "pump-2", "pump-3")) + "{bad\n"
    command = ["ca", "lot", "issue", "-", "--json"]
    done = leafward(*command, home=home, input=lines)
    assert done.returncode == 3  # the third found the quota used up
    assert "the quota of 2" in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["lot", "rejected", "issued", "issued", "summary"]
    assert {event["name"] for event in events if event["event"] == "issued"} == {"pump-1", "pump-2"}
    summary = events[-1]
    assert (summary["issued"], summary["rejected"], summary["over_quota"]) == (2, 1, 1)
    account = leafward_json("ca", "lot", "close", opened["lot"], home=home)
    counts = {name: account[name] for name in ("quota", "issued", "delivered", "unused", "rejected", "spoiled")}
    assert counts == {"quota": 2, "issued": 2, "delivered": 2, "unused": 0, "rejected": 1, "spoiled": []}
    assert account["rejections"][0]["source"] == "standard input, line 4"
    assert leafward_json("ca", "lot", "status", home=home)[0]["closed"] == account["closed"]


def test_a_csv_into_a_tar_file(home: Path) -> None:
    ca(home, "lot", "open", "--quota", "10")
    folder = requests(home / "requests", "one", "two")
    (home / "lot.csv").write_text(f"gw-1,{folder.name}/one.csr\ngw-2,{folder.name}/two.csr\n")
    ca(home, "lot", "issue", str(home / "lot.csv"), "--out", str(home / "out.tar"), "--workers", "0")
    with tarfile.open(home / "out.tar") as archive:
        assert sorted(archive.getnames()) == ["gw-1.pem", "gw-2.pem"]


def test_names_from_files(home: Path) -> None:
    ca(home, "lot", "open", "--quota", "10")
    folder = requests(home / "requests", "one")
    (folder / "one.csr").rename(folder / "gw-7.csr")
    ca(home, "lot", "issue", str(folder), "--name-from", "file", "--out", str(home / "out"))
    assert [path.name for path in (home / "out").iterdir()] == ["gw-7.pem"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lot", "issue", "nowhere"], 3, "there is no lot"),
        (["lot", "issue", "a", "b", "c"], 2, "expected [LOT] SOURCE"),
        (["lot", "open", "--quota", "0"], 2, "--quota"),
        (["lot", "open", "--quota", "1", "--profile", "root_ca"], 2, "device_ca"),
        (["lot", "open", "--quota", "1", "--lot", "a/b"], 2, "no lot can be opened"),
        (["lot", "status", "nothing"], 3, "no lot 'nothing'"),
        (["lot", "close"], 3, "lot open"),
    ],
)
def test_wrong_use(home: Path, arguments: list[str], code: int, words: str) -> None:
    done = leafward("ca", *arguments, home=home)
    assert done.returncode == code
    assert words in done.stderr


def test_a_progress_line_on_a_terminal(home: Path) -> None:
    """On a terminal a line is drawn over and over; it is gone at the end."""
    ca(home, "lot", "open", "--quota", "10")
    folder = requests(home / "requests", "one")
    terminal, theirs = pty.openpty()
    environment = {**os.environ, "LEAFWARD_HOME": str(home)}
    command = [str(LEAFWARD), "ca", "lot", "issue", str(folder), "--out", str(home / "out")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, stdin=theirs)
    os.close(theirs)
    assert process.stdout is not None
    said = process.stdout.read()
    drawn = b""
    try:
        while data := os.read(terminal, 4096):
            drawn += data
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    process.stdout.close()
    assert process.wait() == 0
    assert b"1 issued" in said
    assert b"of 1," in drawn
    assert drawn.endswith(b"\r\x1b[K")
