"""Renewal over years, with a clock that is moved instead of waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.manager.daemon import Manager
from leafward.manager.renewal_loop import LONGEST_WAIT, RenewalLoop
from leafward.manager.rotation import Rotation
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.pki.chain import fingerprint
from leafward.pki.renewal import RenewalPolicy
from leafward.pki.verify import verify
from leafward.store.home import Home
from leafward.wire.rotation import HubVerdict


def brought_up(home: Home, clock: Any) -> Standing:
    made = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
    made.modules.close()
    return made


@pytest.fixture
async def standing(home: Home, install: Any, clock: Any) -> Standing:
    install(not_after=clock() + timedelta(days=800))
    return brought_up(home, clock)


@pytest.fixture
async def rotation(home: Home, standing: Standing) -> AsyncIterator[Rotation]:
    made = Rotation(home, standing)
    yield made
    await made.close()


@pytest.fixture
async def loop(rotation: Rotation, standing: Standing) -> RenewalLoop:
    return RenewalLoop(rotation, standing)


async def accept(rotation: Rotation, standing: Standing) -> None:
    """The hub proves what is in use."""
    await rotation.verdict(HubVerdict(fingerprint(standing.hub.certificate), accepted=True))


async def refuse(rotation: Rotation, standing: Standing) -> None:
    """The hub finds fault with it."""
    await rotation.verdict(HubVerdict(fingerprint(standing.hub.certificate), accepted=False, reason="sabotage"))


def kinds(standing: Standing) -> list[tuple[str, Any]]:
    events = standing.events.recent()
    return [(event.kind, event.facts.get("state") or event.facts.get("name")) for event in events]


async def test_nothing_is_done_before_it_is_due(standing: Standing, loop: RenewalLoop, clock: Any) -> None:
    before = fingerprint(standing.hub.certificate)
    assert await loop.turn() == LONGEST_WAIT
    clock.forward(timedelta(days=24) - timedelta(minutes=30))
    wait = await loop.turn()
    assert timedelta(0) < wait <= timedelta(minutes=30)
    assert fingerprint(standing.hub.certificate) == before
    clock.forward(wait)
    await loop.turn()
    assert fingerprint(standing.hub.certificate) != before
    assert kinds(standing) == [("rotation", "started"), ("certificate", "hub_server")]


async def test_two_years_without_a_gap(
    standing: Standing, rotation: Rotation, loop: RenewalLoop, clock: Any, home: Home
) -> None:
    """At every turn the chain in use verifies; it is renewed when due, with a new key, and never in a spin.

    Half of the time there is a hub that accepts, else none: what is kept for going back does not grow.
    """
    seen: set[str] = set()
    for turn in range(799):
        await loop.turn()
        chain = standing.hub.pair.chain
        seen.add(fingerprint(chain.leaf))
        assert verify(chain, standing.anchors, now=clock(), name=standing.settings.hostname).valid
        if turn < 400:
            await accept(rotation, standing)
        assert len(list(home.manager.rglob("key.pem"))) <= 5
        clock.forward(timedelta(days=1))
    assert 30 < len(seen) < 40


async def test_a_renewed_workload_ca_brings_a_new_hub_certificate(
    standing: Standing, loop: RenewalLoop, clock: Any
) -> None:
    clock.forward(timedelta(days=293))
    before = fingerprint(standing.workload_ca.certificate)
    await loop.turn()
    assert fingerprint(standing.workload_ca.certificate) != before
    assert standing.hub.pair.chain.issuers == standing.workload_ca.pair.chain.certificates


async def test_a_failure_leaves_the_old_one_and_is_tried_again_in_its_time(
    standing: Standing, loop: RenewalLoop, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 % of 30 days and an hour; the looks between them change nothing."""
    clock.forward(timedelta(days=25))
    before = standing.hub.pair

    def fail(_pair: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(standing.hub, "prove", fail)
        assert await loop.turn() == LONGEST_WAIT
    record = standing.journal.of("hub_server")
    assert record.last_failure is not None
    assert "the disk is full" in record.last_failure.reason
    retry = RenewalPolicy.parse().retry_delay(before.chain.leaf)
    assert record.next_try(clock()) == clock() + retry
    assert timedelta(hours=28) < retry < timedelta(hours=30)
    clock.forward(timedelta(hours=28))
    await loop.turn()
    assert standing.hub.pair == before
    clock.forward(timedelta(hours=2))
    await loop.turn()
    assert standing.hub.pair != before
    assert standing.journal.failures() == {}
    assert (record.done, record.failed) == (1, 1)


async def test_what_failed_before_its_time_is_not_warned_of_for_ever(
    standing: Standing, rotation: Rotation, loop: RenewalLoop, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator's `rotate hub` fails, and the certificate is good for weeks: told for a while only."""

    def fail(_pair: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(standing.hub, "prove", fail)
        with pytest.raises(StoreError):
            await rotation.rotate("hub")
    await loop.turn()
    assert "the disk is full" in standing.journal.failures()["hub_server"].reason
    clock.forward(timedelta(hours=30))
    await loop.turn()
    assert standing.journal.failures() == {}


async def test_a_clock_that_was_set_back_does_not_hold_up_a_retry(
    standing: Standing, loop: RenewalLoop, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing.journal.failed("hub_server", "the disk is full", clock() + timedelta(days=3650))
    standing.journal.postpone("hub_server", clock() + timedelta(days=3650), timedelta(days=1))
    clock.forward(timedelta(days=25))
    before = standing.hub.pair
    await loop.turn()
    assert standing.hub.pair != before


async def test_a_workload_ca_below_which_no_hub_certificate_proves_is_taken_back(
    standing: Standing, loop: RenewalLoop, clock: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.forward(timedelta(days=293))
    before = (standing.workload_ca.pair.chain, standing.hub.pair.chain)

    def fail(_pair: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(standing.hub, "prove", fail)
        await loop.turn()
    assert (standing.workload_ca.pair.chain, standing.hub.pair.chain) == before
    again = brought_up(home, clock)
    assert again.hub.pair.chain.issuers == again.workload_ca.pair.chain.certificates


@pytest.mark.parametrize("level", ["hub", "workload"])
async def test_what_the_hub_refuses_is_taken_back(
    *, standing: Standing, rotation: Rotation, loop: RenewalLoop, clock: Any, home: Home, level: Any
) -> None:
    """On the disk too, and not tried again before its time."""
    clock.forward(timedelta(days=25))
    before = (standing.workload_ca.pair.chain, standing.hub.pair.chain)
    await rotation.renew(level, "it is due")
    assert standing.hub.pair.chain != before[1]
    await refuse(rotation, standing)
    assert (standing.workload_ca.pair.chain, standing.hub.pair.chain) == before
    assert kinds(standing)[-1] == ("rotation", "rolled-back")
    assert len(list(home.manager.rglob("key.pem"))) == 3
    await loop.turn()
    assert standing.hub.pair.chain == before[1]
    clock.forward(timedelta(hours=29))
    await loop.turn()
    assert standing.hub.pair.chain != before[1]


async def test_what_the_hub_accepts_settles(standing: Standing, rotation: Rotation, home: Home) -> None:
    await rotation.renew("workload", "asked for")
    assert len(list(home.manager.rglob("key.pem"))) == 5
    await accept(rotation, standing)
    assert len(list(home.manager.rglob("key.pem"))) == 3
    assert kinds(standing)[-1] == ("rotation", "done")
    before = standing.hub.pair
    await refuse(rotation, standing)
    assert standing.hub.pair == before  # nothing to go back to: what serves goes on
    assert kinds(standing)[-1] == ("warning", None)


async def test_a_verdict_on_another_certificate_changes_nothing(
    standing: Standing, rotation: Rotation, home: Home
) -> None:
    await rotation.renew("hub", "asked for")
    await rotation.verdict(HubVerdict("00" * 32, accepted=False, reason="late"))
    assert len(list(home.manager.rglob("key.pem"))) == 4


async def test_a_start_between_activate_and_verdict_can_still_go_back(
    home: Home, standing: Standing, rotation: Rotation, clock: Any
) -> None:
    """The manager is killed there: it starts with the new ones, which verify, and the hub's refusal still counts."""
    before = standing.hub.pair.chain
    await rotation.renew("workload", "asked for")
    again = brought_up(home, clock)
    assert again.issued == ()
    assert again.hub.pair.chain == standing.hub.pair.chain
    second = Rotation(home, again)
    await refuse(second, again)
    assert again.hub.pair.chain == before
    await second.close()


async def test_an_expired_one_is_not_gone_back_to(standing: Standing, rotation: Rotation, clock: Any) -> None:
    clock.forward(timedelta(days=25))
    await rotation.renew("hub", "it is due")
    clock.forward(timedelta(days=10))
    new = standing.hub.pair
    await refuse(rotation, standing)
    assert standing.hub.pair == new


async def test_the_key_goes_on_where_the_settings_say_so(home: Home, install: Any, clock: Any) -> None:
    """`rekey = false`: the same key in another certificate. What is asked for by hand gets new keys all the same."""
    install()
    home.settings.write_text(home.settings.read_text() + "[renewal]\nrekey = false\n")
    standing = brought_up(home, clock)
    rotation = Rotation(home, standing)
    first = standing.hub.pair
    await rotation.renew("workload", "it is due")
    second = standing.hub.pair
    assert second.chain != first.chain
    assert second.key.public_key() == first.key.public_key()
    outcome = await rotation.rotate("hub")
    assert outcome.state == "unproved"
    assert standing.hub.pair.key.public_key() != first.key.public_key()
    await rotation.close()


async def test_modules_are_told_in_time(standing: Standing, loop: RenewalLoop, clock: Any) -> None:
    """At 80 % of what a module was given, once; and when the workload CA is another."""
    standing.held.record("modA", standing.hub.certificate)
    await loop.turn()
    assert standing.events.recent() == []
    wait = RenewalPolicy.parse().due(standing.hub.certificate) - clock()
    clock.forward(wait)
    await loop.turn()
    await loop.turn()
    told = [event.facts for event in standing.events.recent() if event.facts.get("name") == "modA"]
    assert [facts["reason"] for facts in told] == ["due"]


async def test_warnings_at_30_7_and_1_days(standing: Standing, loop: RenewalLoop, clock: Any) -> None:
    """root -> intermediate -> device CA, which ends first and which nobody here can renew."""
    clock.forward(timedelta(days=765))
    for _ in range(35):
        await loop.turn()
        clock.forward(timedelta(days=1))
    warned = [event.facts["days"] for event in standing.events.recent() if event.kind == "warning"]
    assert warned == [30, 7, 1]


async def test_the_running_manager_renews(home: Home, install: Callable[..., Any], clock: Any) -> None:
    install()
    waits: asyncio.Queue[timedelta] = asyncio.Queue()
    go_on = asyncio.Event()

    async def wait(duration: timedelta) -> None:
        await waits.put(duration)
        await go_on.wait()
        go_on.clear()

    async with Manager(home, clock=clock, wait=wait) as manager:
        await waits.get()
        before = fingerprint(manager.standing.hub.certificate)
        clock.forward(timedelta(days=25))
        go_on.set()
        await waits.get()
        assert fingerprint(manager.standing.hub.certificate) != before
        assert TimeFloor(home.manager / LAST_SEEN, clock).now() == clock()
