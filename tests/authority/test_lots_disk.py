"""Lots on a disk that is really full, and lots that are killed whole, again and again: resumed, each adds up."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafward.authority.lot_delivery import FolderSink, Sink, TarSink
from leafward.authority.lots import Line
from leafward.errors import StoreError
from tests.authority import hierarchy_tools as tools
from tests.authority.ledger_entries import differences
from tests.authority.lot_line import Basket, Factory, csr, items, json_line
from tests.edge import LEAFWARD

PROGRAM = Path(__file__).parent / "scripts" / "killed_lot.py"
ROOT = Path(__file__).parent.parent.parent
SIZE = 4 << 20
GO_ON = "run the same command again"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB; only root may mount one."""
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.authority.lot_run.BATCH", 10)
    monkeypatch.setattr("leafward.authority.lot_run._RECORDED_AT_ONCE", 10)


def fill(disk: Path, *, leaving: int) -> Path:
    """A file that leaves so many octets free."""
    status = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(status.f_bavail * status.f_bsize - leaving))
    return ballast


def test_a_full_disk_under_the_ledger(disk: Path) -> None:
    """The database does not grow: the error names it and the disk; what is recorded adds up; with room it goes on."""
    factory = Factory(disk)
    lot, requests = factory.open(), [csr(f"gateway-{number}") for number in range(100)]
    ballast, basket = fill(disk, leaving=300_000), Basket()
    with pytest.raises(StoreError) as stopped:
        factory.issue(lot, items(*requests), basket)
    assert str(disk / "maker" / "maker.db") in stopped.value.what
    assert "full" in (stopped.value.why or "")
    assert "free some space" in (stopped.value.hint or "")
    assert GO_ON in (stopped.value.hint or "")
    account = factory.lots.reconciliation(lot)
    assert 0 < account.issued < 100
    assert len(basket.made) <= account.issued
    assert {one.name for one in basket.made} <= {found.name for found in factory.issuance.ledger.inventory.search(
        now=tools.now(), limit=1000).found}  # fmt: skip
    assert differences(factory.issuance.ledger, tools.now()) == []
    ballast.unlink()
    progress, basket = factory.issue(lot, items(*requests), basket)
    assert progress.issued == 100 - account.issued
    assert set(basket.names) == {f"gateway-{number}" for number in range(100)}
    account = factory.lots.close(lot)
    assert (account.issued, account.delivered, account.unused, account.spoiled) == (100, 100, 0, ())
    assert differences(factory.issuance.ledger, tools.now()) == []
    factory.issuance.close()


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_full_disk_under_the_certificates(disk: Path, tmp_path: Path, kind: str) -> None:
    """The ledger's disk has room: what was recorded is handed over by the next run, and nothing is issued for it."""
    factory = Factory(tmp_path / "home")
    lot, requests = factory.open(), [csr(f"gateway-{number}") for number in range(100)]
    issuers = factory.lots.issuers_pem(lot)
    out = disk / ("out" if kind == "folder" else "out.tar")

    def sink() -> Sink:
        return FolderSink(out, issuers) if kind == "folder" else TarSink(out, issuers)

    ballast, first = fill(disk, leaving=65_536), sink()
    with pytest.raises(StoreError) as stopped:
        factory.lots.issue(factory.lots.get(lot.name), items(*requests), first, Line(0))
    assert str(out) in stopped.value.what
    assert stopped.value.why == os.strerror(28)  # ENOSPC
    assert GO_ON in (stopped.value.hint or "")
    first.close()
    account = factory.lots.reconciliation(lot)
    assert 0 < account.issued == account.not_delivered + account.delivered
    assert account.not_delivered > 0
    ballast.unlink()
    second = sink()
    progress = factory.lots.issue(factory.lots.get(lot.name), items(*requests), second, Line(0))
    second.close()
    assert (progress.issued, progress.redelivered) == (100 - account.issued, account.not_delivered)
    if kind == "tar":
        subprocess.run(["tar", "-xf", str(out), "-C", str(tmp_path)], check=True, timeout=30)
    files = sorted((out if kind == "folder" else tmp_path).glob("[!.]*.pem"))
    assert [path.stem for path in files] == sorted(f"gateway-{number}" for number in range(100))
    for path in files:
        assert path.read_bytes().count(b"END CERTIFICATE") == 3
    assert not list(disk.glob("out/.*")), "no half of a file is left"
    assert factory.lots.close(lot).delivered == 100
    factory.issuance.close()


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    """A limit on the size of files (RLIMIT_FSIZE), for whoever cannot mount: the command says so, and is resumed."""
    factory = Factory(tmp_path)
    lot = factory.open(quota=1000)
    factory.issuance.close()
    (tmp_path / "requests.jsonl").write_text("".join(json_line(csr(f"gateway-{number}")) for number in range(600)))
    command = [str(LEAFWARD), "ca", "lot", "issue", lot.name, "requests.jsonl", "--out", "out", "--workers", "1"]
    environment = {**os.environ, "LEAFWARD_HOME": str(tmp_path)}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    for prepare, code in ((limit, 3), (None, 0)):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
            preexec_fn=prepare,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if prepare is not None:
            assert "maker.db" in done.stderr
            assert GO_ON in done.stderr
            assert factory.lots.reconciliation(lot).issued < 600
    account = factory.lots.close(lot)
    assert (account.issued, account.delivered, account.spoiled) == (600, 600, ())
    assert len(list((tmp_path / "out").glob("[!.]*.pem"))) == 600
    assert differences(factory.issuance.ledger, tools.now()) == []
    factory.issuance.close()


def test_killed_whole_and_run_again(tmp_path: Path, maker_database: str | None) -> None:
    """The line with its signing processes, kill -9 at 20 random points: 400 requests, 400 certificates, each once.

    On PostgreSQL fewer times, because each start takes longer there.
    """
    seed, kills = random.randrange(1 << 30), "20" if maker_database is None else "6"
    arguments = [sys.executable, str(PROGRAM), str(tmp_path), kills, str(seed), *filter(None, [maker_database])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=100, env=environment)
    assert done.returncode == 0, (seed, done.stderr)
    said = json.loads(done.stdout)
    assert {issued for issued, _ in said["at"]} != {400}, "no kill came before the end"
    same = {name: said[name] for name in ("asked", "issued", "delivered", "files", "keys", "known")}
    assert same == dict.fromkeys(same, 400), (seed, said)
    assert (said["unused"], said["spoiled"], said["differences"]) == (10, 0, []), (seed, said)
