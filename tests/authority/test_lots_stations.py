"""Two stations on one lot at the same time, on a real PostgreSQL: nothing twice, the quota to the last certificate."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from leafward.authority.issuance import Issuance
from leafward.authority.lots import Lots
from leafward.errors import AccessDenied, Busy
from tests.authority import hierarchy_tools as tools
from tests.authority.ledger_entries import differences
from tests.authority.lot_line import Factory, csr, items, json_line
from tests.edge import LEAFWARD
from tests.postgresql import PostgreSql

WORKERS = "1"


def settings(home: Path, database: str) -> None:
    (home / "leafward.toml").write_text(f'[maker]\ndatabase = "{database}"\n')


@pytest.fixture
def factory(tmp_path: Path, postgresql: PostgreSql) -> Factory:
    """The first station, and the folder of a second one that has the same authorities and the log's key."""
    database = postgresql.database()
    made = Factory(tmp_path / "first", database)
    made.issuance.close()
    second = tmp_path / "second" / "maker"
    shutil.copytree(tmp_path / "first" / "maker" / "authorities", second / "authorities")
    shutil.copytree(tmp_path / "first" / "maker" / "log", second / "log")
    for name in ("first", "second"):
        settings(tmp_path / name, database)
    return made


def station(home: Path, lot: str, *arguments: str) -> "subprocess.Popen[str]":
    """A line that waits for requests on its standard input."""
    pipe, environment = subprocess.PIPE, {**os.environ, "LEAFWARD_HOME": str(home)}
    command = [str(LEAFWARD), "ca", "lot", "issue", lot, "-", "--json", "--workers", WORKERS, *arguments]
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def all_events(process: "subprocess.Popen[str]", requests: str) -> list[dict[str, Any]]:
    out, errors = process.communicate(requests, timeout=60)
    assert "Traceback" not in errors
    return [json.loads(line) for line in out.splitlines()]


def test_two_at_once(tmp_path: Path, factory: Factory) -> None:
    """Quota 500; one gets requests 0 to 399, the other 200 to 599, both at once: 500 certificates, each of them once.

    With proofs, so that both sign the one log meanwhile, too.
    """
    lot = factory.open(quota=500)
    factory.issuance.close()
    lines = [json_line(csr(f"gateway-{number}")) for number in range(600)]
    heaps = {"first": lines[:400], "second": lines[200:]}
    running = {name: station(tmp_path / name, lot.name, "--proofs") for name in heaps}
    for process in running.values():  # both are up before the first request comes
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "lot"
    for name, process in running.items():
        assert process.stdin is not None
        process.stdin.write("".join(heaps[name][:100]))
        process.stdin.flush()
    said = {name: all_events(process, "".join(heaps[name][100:])) for name, process in running.items()}
    told = Counter(event["name"] for events in said.values() for event in events if event["event"] == "issued")
    assert (len(told), set(told.values())) == (500, {1})
    for name, events in said.items():
        summary = events[-1]
        counts = [summary[count] for count in ("issued", "repeated", "over_quota", "rejected", "redelivered")]
        assert sum(counts) == len(heaps[name]), summary
        assert summary["rejected"] == summary["redelivered"] == 0, events
        assert running[name].returncode == (3 if summary["over_quota"] else 0)
        assert summary["issued"] > 0, "one of the two did all the work"
    account = factory.lots.close(lot)
    assert (account.issued, account.delivered, account.unused, account.spoiled) == (500, 500, 0, ())
    ledger = factory.issuance.ledger
    found = ledger.inventory.search(now=tools.now(), limit=2000).found
    serials = [one.serial for one in found]
    assert len(serials) == len(set(serials)) == 502
    assert differences(ledger, tools.now()) == []
    factory.issuance.close()


def test_one_killed_while_the_other_works(tmp_path: Path, factory: Factory) -> None:
    """What the killed one recorded and did not hand over is its own to hand over: the other one does not."""
    lot = factory.open(quota=500)
    factory.issuance.close()
    lines = [json_line(csr(f"gateway-{number}")) for number in range(300)]
    first, second = (station(tmp_path / name, lot.name) for name in ("first", "second"))
    for process in (first, second):
        assert process.stdout is not None
        process.stdout.readline()
    assert first.stdin is not None
    first.stdin.write("".join(lines[:150]))
    first.stdin.flush()
    assert first.stdout is not None
    told = {json.loads(first.stdout.readline())["name"]}
    first.kill()
    rest = first.stdout.read()
    first.communicate()
    whole = [json.loads(line) for line in rest.splitlines() if line.endswith("}")]
    told |= {event["name"] for event in whole if event["event"] == "issued"}
    others = all_events(second, "".join(lines[150:]))
    assert (others[-1]["issued"], others[-1]["redelivered"]) == (150, 0)
    again = all_events(station(tmp_path / "first", lot.name), "".join(lines))
    names = {event["name"] for event in again if event["event"] == "issued"}
    assert names | told == {f"gateway-{number}" for number in range(150)}
    account = factory.lots.close(lot)
    assert (account.issued, account.delivered, account.unused) == (300, 300, 200)
    factory.issuance.close()


def test_closed_by_the_other_station(tmp_path: Path, factory: Factory) -> None:
    """The one that works is told with its next batch; at its own station a lot that is worked on is not closed."""
    lot = factory.open(quota=10)
    elsewhere = Lots(Issuance(tmp_path / "second" / "maker", database=factory.issuance._database), clock=tools.now)

    def close() -> bool:
        with pytest.raises(Busy):
            factory.lots.close(lot)
        elsewhere.close(lot)
        return False

    with pytest.raises(AccessDenied, match="closed meanwhile"):
        factory.issue(lot, items(csr("gateway-1")), stopped=close)
    assert factory.lots.reconciliation(lot).issued == 0
    factory.issuance.close()
    elsewhere._issuance.close()
