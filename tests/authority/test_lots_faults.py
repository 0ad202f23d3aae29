"""Lots under faults: a kill at any moment, a full disk, a key that goes away, a wrong clock, a consumer that leaves.

What was recorded is never lost and never issued twice; what was not recorded was never handed out.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Ledger
from leafward.authority.lot_delivery import JsonSink
from leafward.authority.lots import Line, Lots
from leafward.errors import KeyUnavailable, LeafwardError, RuleViolation, StoreError
from leafward.keys.key_store import KeyReference
from leafward.store.lock import HomeLock
from tests.authority import hierarchy_tools as tools
from tests.authority.ledger_entries import differences
from tests.authority.lot_line import Basket, Factory, csr, items, json_line
from tests.edge import LEAFWARD
from tests.keys.devices import SoftHsm, soft_hsm_here

GO_ON = "run the same command again"
# Python 3.12 and later warn of forks beside threads, which the test's own runner may have.
FORKS = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")


@pytest.fixture
def factory(tmp_path: Path, maker_database: str | None) -> Iterator[Factory]:
    made = Factory(tmp_path, maker_database)
    yield made
    made.issuance.close()


def full_disk() -> None:
    raise StoreError("cannot write", why="no space left on device", hint="free some space")


def test_certificates_that_cannot_be_handed_over(factory: Factory) -> None:
    """The disk is full after the ledger has them: the next run hands them over, and issues nothing for them."""
    lot, requests = factory.open(), [csr("one"), csr("two")]
    with pytest.raises(StoreError) as stopped:
        factory.issue(lot, items(*requests), Basket(fails=full_disk))
    assert GO_ON in (stopped.value.hint or "")
    account = factory.lots.reconciliation(lot)
    assert (account.issued, account.delivered, account.not_delivered) == (2, 0, 2)
    progress, basket = factory.issue(lot, items(*requests))
    assert (progress.issued, progress.redelivered, progress.repeated) == (0, 2, 2)
    assert basket.names == ["one", "two"]
    assert factory.lots.reconciliation(lot).delivered == 2
    assert not factory.issue(lot, items(*requests))[1].made


def test_a_lot_that_is_closed_before_all_is_handed_over(factory: Factory) -> None:
    """What no device got is spoiled."""
    lot = factory.open()
    with pytest.raises(StoreError):
        factory.issue(lot, items(csr("one")), Basket(fails=full_disk))
    account = factory.lots.close(lot)
    assert [(one.name, one.why) for one in account.spoiled] == [("one", "issued and never handed over")]


def test_a_ledger_that_refuses(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is handed out that is not recorded; the same source again completes the lot."""
    lot, requests, record = factory.open(), [csr("one"), csr("two")], Ledger.record

    def refuses(*_: Any, **__: Any) -> None:
        full_disk()

    monkeypatch.setattr(Ledger, "record", refuses)
    basket = Basket()
    with pytest.raises(StoreError):
        factory.issue(lot, items(*requests), basket)
    assert not basket.made
    assert factory.lots.reconciliation(lot).issued == 0
    monkeypatch.setattr(Ledger, "record", record)
    assert factory.issue(lot, items(*requests))[0].issued == 2


def test_a_clock_before_the_issuer(factory: Factory) -> None:
    lot = factory.open()
    factory.late = timedelta(days=-1)
    with pytest.raises(RuleViolation) as stopped:
        factory.issue(lot, items(csr("one")))
    assert stopped.value.code == "certificate-not-yet-valid"
    assert "clock" in (stopped.value.hint or "")
    assert GO_ON in (stopped.value.hint or "")
    factory.late = timedelta(0)
    assert factory.issue(lot, items(csr("one")))[0].issued == 1


def test_a_clock_that_is_set_back_in_the_middle(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch is kept, the second is not begun."""
    monkeypatch.setattr("leafward.authority.lot_run.BATCH", 1)
    lot = factory.open()
    asked = 0

    def later() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            factory.late = timedelta(days=-1)
        return False

    with pytest.raises(RuleViolation):
        factory.issue(lot, items(csr("one"), csr("two"), csr("three"), csr("four")), stopped=later)
    factory.late = timedelta(0)
    account = factory.lots.reconciliation(lot)
    assert 1 <= account.issued == account.delivered < 4
    assert differences(factory.issuance.ledger) == []


def test_one_at_a_time_on_a_station(factory: Factory) -> None:
    lot = factory.open()
    lock = HomeLock(factory.issuance.folder / "lots" / f"{lot.name}.lock")
    with lock.hold("another"), pytest.raises(StoreError, match="in use"):
        factory.issue(lot, items(csr("one")))


def test_nobody_reads_the_answers(factory: Factory) -> None:
    """A consumer that ends: the lot stops, and what it did not read is known."""
    lot = factory.open()
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as stream:
        sink = JsonSink(stream, lot.name, b"")
        os.close(reading)
        with pytest.raises(StoreError, match="standard output"):
            factory.lots.issue(lot, items(csr("one")), sink, Line(0))
    assert factory.lots.reconciliation(lot).not_delivered == 1


# ---- a token that is pulled out


@pytest.fixture
def soft_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    yield from soft_hsm_here(tmp_path / "hsm", monkeypatch)


@FORKS
@pytest.mark.parametrize("workers", [0, 2])
def test_a_token_pulled_out_in_the_middle(
    tmp_path: Path, soft_hsm: SoftHsm, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lot stops with the token's error; put in again, the same source completes it: each name once."""
    monkeypatch.setattr("leafward.authority.lot_run.BATCH", 5)
    monkeypatch.setattr("leafward.authority.lot_run._SECONDS_UNRECORDED", 0.0)
    issuance = Issuance(tmp_path / "maker")
    key = soft_hsm.reference("factory")
    root = issuance.root("Token Root", tools.P256, now=tools.now(), at=KeyReference(key.scheme, key.rest))
    lots = Lots(issuance, clock=tools.now)
    lot = lots.open("device_ca", 100, issuer=root.name)
    requests = [csr(f"gateway-{number}") for number in range(60)]
    pulled = False

    def pull(progress: Any) -> None:
        nonlocal pulled
        if progress.issued and not pulled:
            pulled = True
            soft_hsm.pull_out()

    basket = Basket()
    with pytest.raises(KeyUnavailable) as stopped:
        lots.issue(lot, items(*requests), basket, Line(workers, shown=pull))
    assert GO_ON in (stopped.value.hint or "")
    issued = lots.reconciliation(lot).issued
    assert 0 < issued == len(basket.made) < 60, (stopped.value, stopped.value.hint)
    soft_hsm.plug_in()
    progress = lots.issue(lots.get(lot.name), items(*requests), basket, Line(workers))
    assert (progress.issued, progress.repeated) == (60 - issued, issued)
    assert basket.names == sorted({f"gateway-{number}" for number in range(60)})
    issuance.close()


# ---- processes


@FORKS
def test_two_signing_processes(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of ten in two processes, refusals among them: each request once, on either database."""
    monkeypatch.setattr("leafward.authority.lot_run.BATCH", 10)
    lot = factory.open(quota=95)
    requests = [csr(f"gateway-{number}") if number % 10 else b"bad %d" % number for number in range(110)]
    basket = Basket()
    progress = factory.lots.issue(lot, items(*requests, *requests[:5]), basket, Line(2))
    assert (progress.issued, progress.rejected, progress.over_quota, progress.repeated) == (95, 12, 4, 4)
    assert len(set(basket.names)) == 95
    assert differences(factory.issuance.ledger) == []


def lot_command(home: Path, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "LEAFWARD_HOME": str(home)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [str(LEAFWARD), "ca", "lot", *arguments], env=environment, stdout=pipe, stderr=pipe, **options
    )


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.decode()


@pytest.mark.parametrize("round_number", range(4))
def test_killed_and_run_again(tmp_path: Path, round_number: int) -> None:
    """kill -9 once it has told of some certificates, thrice; then to the end: each request has one certificate.

    Whatever was told before the kill is what the inventory has, and all that was told together is the whole lot.
    """
    factory = Factory(tmp_path)
    lot = factory.open(quota=3000)
    factory.issuance.close()
    source = tmp_path / "requests.jsonl"
    names = {f"gateway-{number}" for number in range(2500)}
    source.write_text("".join(json_line(csr(name)) for name in sorted(names)))
    told: dict[str, set[str]] = {}
    for kill in (True, True, True, False):
        process = lot_command(tmp_path, "issue", lot.name, str(source), "--json", "--workers", "2")
        assert process.stdout is not None
        lines = []
        for number, line in enumerate(process.stdout):
            lines.append(line)
            if kill and number == 1 + 300 * round_number:
                process.send_signal(signal.SIGKILL)
        code, _, said = ended(process)
        assert kill or code == 0, said
        for line in lines:
            if line.endswith(b"\n") and (event := json.loads(line))["event"] == "issued":
                told.setdefault(event["name"], set()).add(event["sha256"])
    assert set(told) == names
    assert {len(found) for found in told.values()} == {1}
    account = factory.lots.close(lot)
    assert (account.issued, account.delivered, account.spoiled) == (2500, 2500, ())
    assert differences(factory.issuance.ledger) == []
    factory.issuance.close()


def test_a_signing_process_that_is_killed(tmp_path: Path) -> None:
    """The line stops and says so; nothing is lost."""
    factory = Factory(tmp_path)
    lot = factory.open(quota=5000)
    factory.issuance.close()
    process = lot_command(tmp_path, "issue", "-", "--json", "--workers", "1", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json_line(csr("gateway-0")).encode())
    process.stdin.flush()
    for line in process.stdout:
        if b'"issued"' in line:
            break
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    process.stdin.write(json_line(csr("gateway-1")).encode())
    process.stdin.close()
    process.stdin = None
    code, _, said = ended(process)
    assert code == 3
    assert "a signing process ended" in said
    assert "run the same command again" in said
    assert factory.lots.reconciliation(lot).issued == 1
    factory.issuance.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal(tmp_path: Path, number: int) -> None:
    """A line that waits for requests: what was asked for is answered, and it ends in order."""
    factory = Factory(tmp_path)
    lot = factory.open()
    factory.issuance.close()
    process = lot_command(tmp_path, "issue", "-", "--json", "--workers", "1", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json_line(csr("gateway-0")).encode())
    process.stdin.flush()
    events = (json.loads(line) for line in process.stdout)
    assert [next(events)["event"], next(events)["event"]] == ["lot", "issued"]
    process.send_signal(number)
    summary = next(events)
    assert (summary["event"], summary["issued"], summary["stopped"]) == ("summary", 1, True)
    code, _, said = ended(process)
    assert code == 0, said
    assert "stopped before the end" in said
    assert factory.lots.reconciliation(lot).delivered == 1
    factory.issuance.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_on_a_full_disk(tmp_path: Path) -> None:
    factory = Factory(tmp_path)
    lot = factory.open()
    factory.issuance.close()
    (tmp_path / "requests.jsonl").write_text(json_line(csr("gateway-0")))
    with Path("/dev/full").open("wb") as full:
        command = [str(LEAFWARD), "ca", "lot", "issue", str(tmp_path / "requests.jsonl"), "--json"]
        environment = {**os.environ, "LEAFWARD_HOME": str(tmp_path)}
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 3
    assert "standard output" in done.stderr
    assert factory.lots.reconciliation(lot).delivered == 0
    factory.issuance.close()


def test_two_stations_on_one_lot(tmp_path: Path, maker_database: str | None) -> None:
    """Two makers' folders, one database: a quota of 30, 40 requests in two heaps; 30 certificates, no name twice."""
    if maker_database is None:
        pytest.skip("two stations share a PostgreSQL database")
    first, second = Factory(tmp_path / "first", maker_database), None
    lot = first.open(quota=30)
    heaps = [[csr(f"gateway-{heap}-{number}") for number in range(20)] for heap in range(2)]
    first.issue(lot, items(*heaps[0]))
    second = Issuance(tmp_path / "second", database=maker_database)
    second.authorities.folder.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "second" / "maker").mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["cp", "-r", str(tmp_path / "first" / "maker" / "authorities"), str(tmp_path / "second")], check=True
    )
    basket = Basket()
    lots = Lots(second, clock=tools.now)
    progress = lots.issue(lots.get(lot.name), items(*heaps[1]), basket, Line(0))
    assert (progress.issued, progress.over_quota, progress.redelivered) == (10, 10, 0)
    assert first.lots.reconciliation(lot).issued == 30
    first.issuance.close()
    second.close()


def test_a_quota_that_another_station_uses_up_meanwhile(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between signing and recording: what has no room is thrown away, and counted as beyond the quota."""
    lot = factory.open(quota=3)
    others = [csr("other-1"), csr("other-2")]
    record, done = Ledger.record, []

    def slow(ledger: Ledger, entries: Any, **more: Any) -> list[int]:
        if not done:
            done.append(True)
            monkeypatch.setattr(Ledger, "record", record)
            elsewhere = Lots(Issuance(factory.issuance.folder / "elsewhere"), clock=tools.now)
            elsewhere._issuance.__dict__["ledger"] = ledger
            elsewhere._issuance.authorities = factory.issuance.authorities
            monkeypatch.setattr(type(elsewhere._issuance), "close", lambda _: None)
            elsewhere.issue(elsewhere.get(lot.name), items(*others), Basket(), Line(0))
        return record(ledger, entries, **more)

    monkeypatch.setattr(Ledger, "record", slow)
    progress, basket = factory.issue(lot, items(csr("one"), csr("two"), csr("three")))
    assert (progress.issued, progress.over_quota) == (1, 2)
    assert basket.names == ["one"]
    monkeypatch.undo()


def test_an_error_passes_between_processes_whole() -> None:
    from leafward.authority.lot_processes import _from_plain, _to_plain

    for error in (
        RuleViolation("weak-key", "too short", why="got 1024", hint="make it anew"),
        KeyUnavailable("the token is gone", hint="put it in"),
        LeafwardError("something"),
    ):
        again = _from_plain(_to_plain(error))
        assert type(again) is type(error)
        assert (str(again), again.hint) == (str(error), error.hint)
