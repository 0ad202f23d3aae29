"""The device CA renewed by enrolment, from the renewal loop: due, enrolled in a thread, everything below re-issued."""

import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward import disk
from leafward.errors import LeafwardError, PeerUnavailable
from leafward.keys.key_store import KeyReference
from leafward.manager.device_ca import DeviceCaFiles
from leafward.manager.renewal_loop import LONGEST_WAIT, RenewalLoop
from leafward.manager.rotation import Rotation
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.status import status_of
from leafward.manager.time_floor import TimeFloor
from leafward.pki.chain import fingerprint
from leafward.pki.encoding import private_key_to_pem
from leafward.pki.names import common_name
from leafward.store.home import Home
from leafward.wire.rotation import HubVerdict

RETRY = timedelta(minutes=7)


class FakeEnrolment:
    """Gives device CAs of the test's maker, or fails; remembers what it was asked."""

    def __init__(self, folder: Path, maker: Any, plan: Any, clock: Any) -> None:
        self.folder, self.maker, self.plan, self.clock = folder, maker, plan, clock
        self.asked: list[str] = []
        self.failure: LeafwardError | None = None
        self.thread: threading.Thread | None = None
        self.lifetime = timedelta(days=100)
        self.active = 0
        self.put()

    def put(self) -> DeviceCaFiles:
        self.active += 1
        now = self.clock()
        made = self.maker.device_ca(self.plan(common_name=f"ca-{self.active}", not_after=now + self.lifetime))
        folder = self.folder / str(self.active)
        disk.make_folder(folder)
        disk.write_file(folder / "certificate.pem", made.chain.to_pem(), mode=disk.PUBLIC)
        disk.write_file(folder / "key.pem", private_key_to_pem(made.key), mode=disk.PRIVATE)
        return self.current()

    def current(self) -> DeviceCaFiles:
        folder = self.folder / str(self.active)
        return DeviceCaFiles(folder / "certificate.pem", KeyReference("file", str(folder / "key.pem")))

    def enrol(self) -> DeviceCaFiles:
        self.asked.append("enrol")
        self.thread = threading.current_thread()
        if self.failure is not None:
            raise self.failure
        return self.put()

    def take_back(self) -> DeviceCaFiles:
        self.asked.append("take back")
        self.active -= 1
        return self.current()

    def tidy(self) -> None:
        self.asked.append("tidy")

    def tend(self) -> None:
        self.asked.append("tend")

    def next_attempt(self, failures: int) -> timedelta:
        return RETRY * failures

    def stop(self) -> None:
        self.asked.append("stop")


@pytest.fixture
def enrolment(tmp_path: Path, maker: Any, plan: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> FakeEnrolment:
    made = FakeEnrolment(tmp_path / "enrolled", maker, plan, clock)
    monkeypatch.setattr("leafward.manager.device_ca_source.enrolment_of", lambda *_: made)
    return made


@pytest.fixture
def standing(home: Home, enrolment: FakeEnrolment, clock: Any) -> Standing:
    made = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
    made.modules.close()
    return made


@pytest.fixture
async def rotation(home: Home, standing: Standing) -> AsyncIterator[Rotation]:
    made = Rotation(home, standing)
    yield made
    await made.close()


@pytest.fixture
async def loop(rotation: Rotation, standing: Standing) -> RenewalLoop:
    return RenewalLoop(rotation, standing)


def issuer(standing: Standing) -> str | None:
    """Which device CA the hub's chain is below."""
    return common_name(standing.hub.pair.chain.issuers[1].subject)


async def verdict(rotation: Rotation, standing: Standing, *, accepted: bool) -> None:
    await rotation.verdict(HubVerdict(fingerprint(standing.hub.certificate), accepted, None if accepted else "no"))


async def test_it_is_enrolled_when_due_and_everything_below_is_re_issued(
    *, standing: Standing, rotation: Rotation, loop: RenewalLoop, enrolment: FakeEnrolment, clock: Any
) -> None:
    """100 days: due after 88 of 110 (it was made 10 days before). The network is waited for in a thread."""
    assert status_of(standing)["next_event"]["what"] == "renew"
    await loop.turn()
    assert enrolment.asked == ["tend"]
    clock.forward(timedelta(days=90))
    await loop.turn()
    assert "enrol" in enrolment.asked
    assert enrolment.thread is not threading.main_thread()
    assert issuer(standing) == "ca-2"
    assert "tidy" not in enrolment.asked
    await verdict(rotation, standing, accepted=True)
    assert enrolment.asked[-1] == "tidy"
    assert status_of(standing)["renewals"]["device_ca"]["done"] == 1


async def test_what_the_hub_refuses_is_taken_back_at_the_enrolment_too(
    standing: Standing, rotation: Rotation, loop: RenewalLoop, enrolment: FakeEnrolment, clock: Any
) -> None:
    await rotation.rotate("device")
    assert issuer(standing) == "ca-2"
    await verdict(rotation, standing, accepted=False)
    assert issuer(standing) == "ca-1"
    assert "take back" in enrolment.asked
    assert enrolment.active == 1
    assert not standing.source.was_replaced()
    await loop.turn()
    assert issuer(standing) == "ca-1"


async def test_a_server_that_is_gone_is_asked_again_by_the_enrolments_own_rule(
    standing: Standing, loop: RenewalLoop, enrolment: FakeEnrolment, clock: Any
) -> None:
    """The old one serves on; 7 minutes after the first failure, 14 after the second."""
    enrolment.failure = PeerUnavailable("the EST server does not answer")
    clock.forward(timedelta(days=90))
    assert await loop.turn() == RETRY
    clock.forward(RETRY)
    assert await loop.turn() == 2 * RETRY
    clock.forward(RETRY)
    await loop.turn()
    assert enrolment.asked.count("enrol") == 2
    assert issuer(standing) == "ca-1"
    assert "does not answer" in status_of(standing)["warnings"][-1]
    enrolment.failure = None
    clock.forward(RETRY)
    await loop.turn()
    assert issuer(standing) == "ca-2"


async def test_one_that_ends_as_soon_is_not_asked_for_in_a_spin(
    standing: Standing, loop: RenewalLoop, enrolment: FakeEnrolment, clock: Any
) -> None:
    """The maker's intermediate ends in a moment: each new device CA is due as it comes."""
    enrolment.lifetime = timedelta(days=1)
    clock.forward(timedelta(days=90))
    for _ in range(5):
        assert await loop.turn() == LONGEST_WAIT
    assert enrolment.asked.count("enrol") == 1


async def test_the_end_of_the_manager_ends_the_request(rotation: Rotation, enrolment: FakeEnrolment) -> None:
    await rotation.close()
    assert enrolment.asked == ["stop"]
