"""An issuing that is killed at any step, and run again: one certificate, in the ledger and in its folder."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.authority.ledger_entries import differences, names, open_ledger, real_entry

PROGRAM = Path(__file__).parent / "scripts" / "killed_issuing.py"
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(("story", "least"), [("chain", 90), ("device", 15), ("renewal", 15)])
def test_a_kill_at_any_step(tmp_path: Path, story: str, least: int) -> None:
    """root -> intermediate -> device CA; a second device CA below them; its renewal."""
    arguments = [sys.executable, str(PROGRAM), story, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=100, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > least


def test_a_database_whose_last_writes_are_missing(tmp_path: Path) -> None:
    """one -> two, three, four in one batch, of which the disk has the first bytes only: all three are there, or none.

    SQLite appends to its write-ahead log: what a kill or a power cut leaves of it is a beginning.
    """
    maker = tmp_path / "maker"
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry("one")])
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry(name) for name in ("two", "three", "four")])
        shutil.copytree(maker, tmp_path / "copied")
    written = (tmp_path / "copied" / "maker.db-wal").read_bytes()
    assert len(written) > 20_000
    found = set()
    for length in [*range(0, len(written), 4096), *random.sample(range(len(written)), 10), len(written)]:
        cut = tmp_path / f"cut-{length}"
        shutil.copytree(tmp_path / "copied", cut)
        (cut / "maker.db-wal").write_bytes(written[:length])
        (cut / "maker.db-shm").unlink(missing_ok=True)
        with open_ledger(cut, None) as ledger:
            found.add(tuple(names(ledger)))
            assert ledger.log.state().size == len(names(ledger))
            assert differences(ledger) == []
        shutil.rmtree(cut)
    assert found == {("one",), ("one", "two", "three", "four")}
