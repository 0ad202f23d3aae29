"""What is killed: each with the home it begins on, and what every start after it has to find."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from leafward.errors import NotFound
from leafward.manager.rotation import Rotation
from leafward.manager.settings import read_settings
from leafward.manager.start import bring_up
from leafward.pki.chain import fingerprint
from leafward.store.home import Home
from leafward.wire.rotation import HubVerdict, Level
from tests.faults.enrolment_scenarios import ENROLMENT
from tests.faults.homes import MAKER, start, started, time_of, with_device_ca
from tests.faults.look import Scenario
from tests.faults.wipe_scenarios import WIPE
from tests.manager.conftest import NOW, set_device

LATER = NOW + timedelta(days=300)


def _renamed(home: Home) -> None:
    started(home)
    set_device(home, hostname="other.local", names=["gateway", "192.0.2.7"])


def _another_device_ca(home: Home) -> None:
    started(home)
    MAKER.install(home)


def _renew_both(home: Home) -> None:
    """What the loop of a running manager does when both are due."""
    standing = start(home)
    standing.workload_ca.renew()
    standing.hub.renew()


async def _rotate(home: Home, level: Level, *, accepted: bool) -> None:
    """`leafward manager rotate`, and what the hub then says."""
    standing = bring_up(home, read_settings(home.settings), time_of(home))
    standing.modules.close()
    if level == "device":
        _put_there(home)
    rotation = Rotation(home, standing)
    with contextlib.suppress(NotFound):  # begun again after a kill: what lies there is in use already
        await rotation.rotate(level)
    await rotation.verdict(HubVerdict(fingerprint(standing.hub.certificate), accepted=accepted))
    await rotation.close()
    standing.modules.close()


def _rotated(level: Level, *, accepted: bool) -> Scenario:
    def act(home: Home) -> None:
        asyncio.run(_rotate(home, level, accepted=accepted))

    name = f"rotate {level}, {'taken' if accepted else 'refused by the hub'}"
    if level == "device":
        return Scenario(name, _device_ca_to_come, act, resume=_put_there)
    return Scenario(name, started, act)


def _device_ca_to_come(home: Home) -> None:
    started(home)
    MAKER.install(_staged(home))


def _put_there(home: Home) -> None:
    """By a person, who is not killed: no step of ours."""
    folder = _staged(home).manager / "device-ca"
    subprocess.run(["cp", "-a", f"{folder}/.", str(home.manager / "device-ca")], check=True)


def _staged(home: Home) -> Home:
    return Home(home.root.with_name("staged"))


def scenarios() -> Iterable[Scenario]:
    """All of them."""
    yield Scenario("first start", with_device_ca, start)
    yield Scenario("start with both due", started, partial(start, now=LATER), LATER)
    yield Scenario("start with the hub due", started, partial(start, now=NOW + timedelta(days=25)), LATER)
    yield Scenario("renewal while running", started, _renew_both)
    yield Scenario("hostname changed", _renamed, start)
    yield Scenario("device CA replaced", _another_device_ca, start)
    yield _rotated("hub", accepted=True)
    yield _rotated("workload", accepted=True)
    yield _rotated("workload", accepted=False)
    yield _rotated("device", accepted=True)
    yield WIPE
    yield ENROLMENT


SCENARIOS = {scenario.name: scenario for scenario in scenarios()}
