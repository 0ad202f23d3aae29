"""Renewal over years, with a clock that is moved instead of waited for."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.manager.daemon import Manager
from leafward.manager.renewal_loop import LONGEST_WAIT, RenewalLoop
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.pki.chain import fingerprint
from leafward.pki.verify import verify
from leafward.store.home import Home


@pytest.fixture
def standing(home: Home, install: Any, clock: Any) -> Standing:
    install(not_after=clock() + timedelta(days=800))
    made = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
    made.modules.close()
    return made


@pytest.fixture
def loop(standing: Standing) -> RenewalLoop:
    return RenewalLoop((standing.workload_ca, standing.hub), standing.settings.renewal.policy, standing.time.now)


def test_nothing_is_done_before_it_is_due(standing: Standing, loop: RenewalLoop, clock: Any) -> None:
    before = fingerprint(standing.hub.certificate)
    assert loop.turn() == LONGEST_WAIT
    clock.forward(timedelta(days=24) - timedelta(minutes=30))
    wait = loop.turn()
    assert timedelta(0) < wait <= timedelta(minutes=30)
    assert fingerprint(standing.hub.certificate) == before
    clock.forward(wait)
    loop.turn()
    assert fingerprint(standing.hub.certificate) != before


def test_two_years_without_a_gap(standing: Standing, loop: RenewalLoop, clock: Any) -> None:
    """At every turn the chain in use verifies; it is renewed when due, with a new key, and never in a spin."""
    seen: set[str] = set()
    for _ in range(799 * 2):
        loop.turn()
        chain = standing.hub.pair.chain
        seen.add(fingerprint(chain.leaf))
        assert verify(chain, standing.anchors, now=clock(), name=standing.settings.hostname).valid
        clock.forward(timedelta(hours=12))
    assert 30 < len(seen) < 40


def test_a_renewed_workload_ca_brings_a_new_hub_certificate(standing: Standing, loop: RenewalLoop, clock: Any) -> None:
    clock.forward(timedelta(days=293))
    before = fingerprint(standing.workload_ca.certificate)
    loop.turn()
    assert fingerprint(standing.workload_ca.certificate) != before
    assert standing.hub.pair.chain.issuers == standing.workload_ca.pair.chain.certificates


def test_a_failure_leaves_the_old_one_and_is_tried_again(
    standing: Standing, loop: RenewalLoop, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.forward(timedelta(days=25))
    before = standing.hub.pair

    def fail(_pair: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(standing.hub, "prove", fail)
        assert loop.turn() == LONGEST_WAIT  # a retry is at 4 % of 30 days, a look is each hour
    assert standing.hub.pair == before
    loop.turn()
    assert standing.hub.pair != before


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
