"""The desk of twins: one transaction for all that waits, and what goes wrong stays in its place."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from leafward.errors import StoreError
from leafward.hub.hub import Hub
from leafward.hub.metrics import HubMetrics
from leafward.hub.store_thread import StoreThread
from leafward.hub.twins import Changed, How, Outcome, TwinFailure, Twins
from leafward.hub.twins_sweep import TwinSweep
from leafward.store.database import ChangeWatch
from leafward.store.identity import Identity
from leafward.store.messages import MessageStore
from leafward.store.registry import Registry
from leafward.store.twins import TwinKey, TwinRecord, TwinStore
from leafward.wire.service_api import Fault
from leafward.wire.twins import Twin
from tests.hub.hub_clients import KEY, NOW

PUMP, VALVE = TwinKey("pump", None, "g1"), TwinKey("valve", None, "g1")


def reporting(**values: Any) -> How:
    return lambda twin: Changed(twin.reporting(values, NOW), reported=values)


@dataclass
class Desk:
    """Twins over a real database and the store's thread; nobody is connected."""

    store: TwinStore
    thread: StoreThread
    gone: set[TwinKey] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        broker = SimpleNamespace(find=lambda _client_id: None)
        hub = SimpleNamespace(metrics=HubMetrics(), broker=broker, clock=lambda: datetime.now(UTC))
        self.twins = Twins(cast("Hub", hub), self.thread, self.store, lambda key: key not in self.gone)

    async def ask(self, *requests: tuple[TwinKey, How | None]) -> list[Outcome]:
        """Asks all at once; what became of each."""
        outcomes: list[Outcome] = []
        for key, how in requests:
            self.twins.ask(key, outcomes.append, how)
        await self.thread.drain()
        assert len(outcomes) == len(requests)
        return outcomes


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    thread = StoreThread(
        MessageStore.open(tmp_path / "messages.db"), HubMetrics(), queue_bytes=1_000_000, batch_size=100
    )
    with TwinStore.open(tmp_path / "twins.db") as store:
        yield Desk(store, thread)
        await thread.close()


async def test_all_that_waits_shares_a_transaction(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    transactions = []
    changing = desk.store.changing

    def counted() -> Any:
        transactions.append(1)
        return changing()

    monkeypatch.setattr(desk.store, "changing", counted)
    keys = [TwinKey(f"d{n}", None, "g") for n in range(60)]
    outcomes = await desk.ask(*((key, reporting(n=1)) for key in keys))
    assert all(isinstance(outcome, Twin) and outcome.reported.version == 2 for outcome in outcomes)
    assert len(transactions) == 1


async def test_a_change_is_noted_before_whoever_made_it_is_told(desk: Desk) -> None:
    """What `notify` gets is durable; the answer waits for it."""
    noted: list[Any] = []
    desk.twins.notify = lambda change, then: noted.append((change, desk.store.get(change.key), then))
    outcomes: list[Outcome] = []
    desk.twins.ask(PUMP, outcomes.append, reporting(a=1))
    desk.twins.ask(VALVE, outcomes.append, reporting(a=2))
    await desk.thread.drain()
    assert not outcomes
    (first, kept, first_then), (_, _, second_then) = noted
    assert (first.key, first.reported, kept.reported) == (PUMP, {"a": 1}, {"a": 1})
    first_then(None)
    second_then(StoreError("the disk is full"))
    done, failed = outcomes
    assert isinstance(done, Twin)
    assert isinstance(failed, TwinFailure)
    assert failed.fault is Fault.UNAVAILABLE


async def test_a_registration_that_is_gone_changes_nothing(desk: Desk) -> None:
    """Its name may be another's by now: that twin is not touched."""
    await desk.ask((TwinKey("pump", None, "g2"), reporting(mine=1)))
    desk.gone.add(PUMP)
    (outcome,) = await desk.ask((PUMP, reporting(late=1)))
    assert isinstance(outcome, TwinFailure)
    assert outcome.fault is Fault.DEVICE_NOT_FOUND
    assert desk.store.get(TwinKey("pump", None, "g2")).reported == {"mine": 1}


async def test_a_damaged_twin_is_nobody_elses_trouble(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client is told that it cannot be read, and nothing of the disk; the log says whose it is."""
    await desk.ask((PUMP, reporting(a=1)))
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'twins.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE twins SET reported = '{' WHERE device_id = 'pump'")
    engine.dispose()
    bad, good = await desk.ask((PUMP, reporting(a=2)), (VALVE, reporting(a=2)))
    assert bad == TwinFailure(Fault.UNAVAILABLE, "the twin cannot be read")
    assert isinstance(good, Twin)
    assert "the twin of pump does not read back" in caplog.text


async def test_a_disk_that_refuses_keeps_nothing_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody of the round is told that it was done; the next round is as if it had not been."""

    @contextlib.contextmanager
    def full() -> Any:
        with changing() as batch:
            yield batch
            raise StoreError("the disk is full")

    changing = desk.store.changing
    monkeypatch.setattr(desk.store, "changing", full)
    noted: list[object] = []
    desk.twins.notify = lambda change, then: noted.append((change, then))
    outcomes = await desk.ask((PUMP, reporting(a=1)), (VALVE, None))
    assert {outcome.fault for outcome in outcomes if isinstance(outcome, TwinFailure)} == {Fault.UNAVAILABLE}
    assert len(outcomes) == 2
    monkeypatch.undo()
    assert await desk.ask((PUMP, None)) == [Twin()]
    assert not noted


async def test_whoever_does_not_take_its_answer_costs_the_others_nothing(desk: Desk) -> None:
    def broken(_outcome: Outcome) -> None:
        raise ZeroDivisionError

    desk.twins.ask(PUMP, broken)
    assert await desk.ask((VALVE, None)) == [Twin()]


async def test_more_than_a_round_takes_waits_its_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.hub.twins.MOST_AT_ONCE", 3)
    keys = [TwinKey(f"d{n}", None, "g") for n in range(10)]
    assert await desk.ask(*((key, None) for key in keys)) == [Twin()] * 10


async def test_what_waits_is_bounded_in_bytes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.hub.twins.MOST_BYTES", 5000)
    outcomes: list[Outcome] = []
    for n in range(3):
        desk.twins.ask(TwinKey(f"d{n}", None, "g"), outcomes.append, reporting(a=1), size=2000)
    assert outcomes == [TwinFailure(Fault.THROTTLED, "too many requests for twins wait")] * 2
    await desk.thread.drain()
    assert isinstance(outcomes[2], Twin)
    assert isinstance((await desk.ask((PUMP, reporting(a=1))))[0], Twin)


# ---- the sweep


def identity(device_id: str, module_id: str | None = None, generation_id: str = "g1") -> Identity:
    return Identity(device_id, module_id, "sas", True, generation_id, KEY, None, None, None, NOW)


async def test_twins_of_removed_registrations_are_forgotten(desk: Desk, tmp_path: Path) -> None:
    """removed, removed with its device, and registered anew: gone from the disk. The others stay."""
    with Registry.open(tmp_path / "registry.db") as registry:
        module = TwinKey("pump", "filter", "g1")
        for known in (identity("pump"), identity("pump", "filter"), identity("valve"), identity("other")):
            registry.add(known)
        keys = [PUMP, module, VALVE, TwinKey("other", None, "g1")]
        await desk.ask(*((key, reporting(a=1)) for key in keys))
        watch = ChangeWatch(registry.engine)
        sweep = TwinSweep(watch, registry, desk.store, desk.thread)
        await sweep.sweep()
        assert set(desk.store.all_keys()) == set(keys)
        with Registry.open(tmp_path / "registry.db") as elsewhere:
            elsewhere.remove("pump")
            elsewhere.remove("valve")
            elsewhere.add(identity("valve", generation_id="g2"))
        await sweep.sweep()
        watch.close()
    assert desk.store.all_keys() == [TwinKey("other", None, "g1")]
    assert desk.store.get(PUMP) == TwinRecord()


async def test_a_sweep_that_fails_is_tried_again(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        await desk.ask((PUMP, reporting(a=1)))
        watch = ChangeWatch(registry.engine)
        sweep = TwinSweep(watch, registry, desk.store, desk.thread)

        def refuse(_keys: Any) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(desk.store, "remove", refuse)
        with pytest.raises(StoreError):
            await sweep.sweep()
        monkeypatch.undo()
        await sweep.sweep()
        watch.close()
    assert desk.store.all_keys() == []
