"""Several processes with one ledger: what each is told is true, whoever dies and whenever."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.authority.ledger_entries import differences, names, open_ledger

PROGRAM = Path(__file__).parent / "scripts" / "station.py"
ROOT = Path(__file__).parent.parent.parent


def station(maker: Path, database: str | None, *, names: int, serials: int, seed: int) -> subprocess.Popen[str]:
    arguments = [str(maker), database or "-", "7", str(names), str(serials), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def end(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in said.splitlines()]


def begin(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


@pytest.mark.parametrize("serials", [0, 60])
def test_two_stations_want_the_same_names_and_serials(tmp_path: Path, maker_database: str | None, serials: int) -> None:
    """Each name goes to one of them, each serial is given out once; the other is told who has it. The ledger is new."""
    maker = tmp_path / "maker"
    both = [station(maker, maker_database, names=80, serials=serials, seed=seed) for seed in (1, 2)]
    begin(*both)
    said = [line for process in both for line in end(process)]
    recorded = [line["name"] for line in said if line["outcome"] == "recorded"]
    refused = [line for line in said if line["outcome"] != "recorded"]
    assert len(recorded) == len(set(recorded))
    assert all(line["name"] in line["outcome"] or "serial" in line["outcome"] for line in refused)
    with open_ledger(maker, maker_database) as ledger:
        assert sorted(names(ledger)) == sorted(recorded)
        numbers = [found.serial for found in ledger.inventory.search(now=ledger.clock(), limit=1000).found]
        assert len(numbers) == len(set(numbers))
        assert ledger.log.state().size == len(recorded)
        assert differences(ledger) == []
    if not serials:
        assert len(recorded) == 80


def test_a_station_that_is_killed(tmp_path: Path, maker_database: str | None) -> None:
    """kill -9 after the 1st, 4th, 7th … certificate: all that it said is recorded, at most one more, and all agrees."""
    maker = tmp_path / "maker"
    said: set[str] = set()
    for round_number in range(6):
        process = station(maker, maker_database, names=10_000, serials=0, seed=round_number)
        begin(process)
        assert process.stdout is not None
        for _ in range(1 + 3 * round_number):
            line = json.loads(process.stdout.readline())
            if line["outcome"] == "recorded":
                said.add(line["sha256"])
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()  # not `communicate`: that knows nothing of what `readline` has read ahead
        process.communicate()
        said |= {
            json.loads(line)["sha256"] for line in rest.splitlines() if '"recorded"' in line and line.endswith("}")
        }
        with open_ledger(maker, maker_database) as ledger:
            there = {found.sha256 for found in ledger.inventory.search(now=ledger.clock(), limit=1000).found}
            assert said <= there
            assert len(there - said) <= round_number + 1
            assert differences(ledger) == []
