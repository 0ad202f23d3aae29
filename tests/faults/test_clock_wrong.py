"""The system's clock is at 1970, 2038, 2106: at the first start, at a later one, and then it is right again.

Nothing is lost by it: no key, no certificate that is good, no module; and what was issued by a wrong clock does no harm
when it is right.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leafward.errors import LeafwardError
from leafward.manager.daemon import Manager
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.store.home import Home
from tests.faults.homes import makers_half
from tests.faults.look import chain_is_right
from tests.faults.summary import Count
from tests.faults.turns import Turns
from tests.manager.conftest import NOW, Plan, make_ca, put

# The Unix epoch; the last second of 32 bits with a sign, and without one; the first that UTCTime cannot say.
WRONG = (
    datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
)
FOR_EVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
DAY = timedelta(days=1)


def start(home: Home, now: datetime, *, synchronised: bool = False) -> Standing:
    """A start after the machine was switched off and on: nobody but a time server vouches for the clock."""
    time = TimeFloor(
        home.manager / LAST_SEEN, lambda: now, steady=lambda: 5.0, synchronised=lambda: synchronised, boot=str(now)
    )
    standing = bring_up(home, read_settings(home.settings), time)
    standing.modules.close()
    return standing


@pytest.fixture
def for_ever(home: Home) -> None:
    """A device CA without an end, as 802.1AR allows it: no clock is after it."""
    root = make_ca(Plan("Test Root", path_length=None, not_after=FOR_EVER))
    made = make_ca(Plan(not_after=FOR_EVER), root)
    put(home, made.chain, made.key)


def modules_of(standing: Standing) -> list[object]:
    found = [(one.module_id, one.generation_id, one.primary_key) for one in standing.modules.all()]
    standing.modules.close()
    return found


def a_module(home: Home, standing: Standing) -> list[object]:
    standing.modules.add("tempSensor")
    return modules_of(standing)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_at_the_first_start(home: Home, for_ever: None, wrong: datetime, count: Count) -> None:
    """It comes up, and serves at the right time as well, once a time server says which that is."""
    modules = a_module(home, start(home, wrong))
    for _ in range(2):
        standing = start(home, NOW, synchronised=True)
        chain_is_right(standing, NOW)
    assert standing.issued == ()
    assert modules_of(standing) == modules
    count("starts with a clock at 1970, 2038, 2106", 1)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_at_a_later_start(home: Home, for_ever: None, wrong: datetime, count: Count) -> None:
    modules = a_module(home, start(home, NOW))
    before = makers_half(home)
    start(home, wrong)
    for _ in range(2):
        standing = start(home, NOW + DAY, synchronised=True)
        chain_is_right(standing, NOW + DAY)
    assert standing.issued == ()
    assert modules_of(standing) == modules
    assert makers_half(home) == before
    count("starts with a clock at 1970, 2038, 2106", 1)


@pytest.mark.parametrize("wrong", WRONG[1:], ids=str)
def test_beyond_the_device_cas_end(home: Home, install: Any, wrong: datetime, count: Count) -> None:
    """Refused as expired, which is what the clock says; nothing is changed by it, and the right time is not lost."""
    install()
    before = start(home, NOW)
    with pytest.raises(LeafwardError, match=str(home.manager / "device-ca")):
        start(home, wrong)
    standing = start(home, NOW + DAY)
    assert standing.issued == ()
    assert standing.hub.certificate == before.hub.certificate
    chain_is_right(standing, NOW + DAY)
    count("starts with a clock at 1970, 2038, 2106", 1)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_wrong_while_it_runs(home: Home, install: Any, clock: Any, wrong: datetime, count: Count) -> None:
    """The clock jumps, the loop turns, the machine is switched off; the next start has the right time."""
    install()
    turns = Turns()
    async with Manager(home, clock=clock, wait=turns, look_every=3600) as manager:
        modules = a_module(home, manager.standing)
        await turns.waiting()
        clock.now = wrong
        for _ in range(2):
            await turns.turn()
        clock.now = NOW + DAY
        await turns.turn()
    standing = start(home, NOW + DAY, synchronised=True)
    chain_is_right(standing, NOW + DAY)
    assert modules_of(standing) == modules
    assert start(home, NOW + DAY, synchronised=True).issued == ()
    count("starts with a clock at 1970, 2038, 2106", 1)


@pytest.mark.parametrize("wrong", WRONG[1:], ids=str)
async def test_nobody_vouches_for_the_right_time(
    home: Home, install: Any, clock: Any, wrong: datetime, count: Count
) -> None:
    """A saved time beyond the device CA's end, from a clock that ran wrong for a while, must not refuse every start."""
    install()
    turns = Turns()
    async with Manager(home, clock=clock, wait=turns, look_every=3600):
        await turns.waiting()
        clock.now = wrong
        for _ in range(2):
            await turns.turn()
    standing = start(home, NOW + DAY)
    chain_is_right(standing, NOW + DAY)
    assert start(home, NOW + DAY).issued == ()
    count("starts with a clock at 1970, 2038, 2106", 1)
