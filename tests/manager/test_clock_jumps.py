"""The manager across every jump of the clock: nothing is lost, and everything serves again when the clock is right.

Test Root <- Test Intermediate <- iotgateway.ca (device CA) <- iotedge workload ca <- iotedgegw.local
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leafward.errors import RuleViolation
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import BUILT, SET_BACK, TimeFloor
from leafward.pki.chain import fingerprint
from leafward.pki.verify import verify
from leafward.store.home import Home

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, 0, 0, 9, tzinfo=UTC)
# One second before and after 32-bit time ends, signed and unsigned.
YEARS = {
    "1970": EPOCH,
    "2038": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    "2106": datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
}


class Gateway:
    """A home, and starts of the manager on it at whatever time."""

    def __init__(self, home: Home, clock: Any) -> None:
        self.home = home
        self.clock = clock
        self.seconds = 0.0
        self.boot = 0
        self.synchronised = False
        self._open: list[Standing] = []

    def start(self, at: datetime | None = None) -> Standing:
        """A start of machine and manager."""
        self.boot += 1
        self.clock.now = at or self.clock.now
        time = TimeFloor(
            self.home.manager / LAST_SEEN,
            self.clock,
            steady=lambda: self.seconds,
            synchronised=lambda: self.synchronised,
            boot=str(self.boot),
        )
        standing = bring_up(self.home, read_settings(self.home.settings), time)
        self._open.append(standing)
        return standing

    def run(self, duration: timedelta) -> None:
        self.clock.forward(duration)
        self.seconds += duration.total_seconds()

    def close(self) -> None:
        for standing in self._open:
            standing.modules.close()


@pytest.fixture
def gateway(home: Home, clock: Any) -> Iterator[Gateway]:
    made = Gateway(home, clock)
    yield made
    made.close()


def renewed(standing: Standing) -> list[str]:
    """What the renewal would issue now; issued."""
    done = []
    for kept in (standing.workload_ca, standing.hub):
        if kept.due() is not None:
            kept.renew()
            done.append(kept.name)
    return done


def assert_serves(standing: Standing, now: datetime) -> None:
    """A leaf device with a right clock accepts what the hub presents."""
    verdict = verify(standing.hub.pair.chain, standing.anchors, now=now, name=standing.settings.hostname)
    assert verdict.valid, verdict.reason


def kept(gateway: Gateway, standing: Standing) -> tuple[Any, ...]:
    """What no clock may cost."""
    folder = gateway.home.manager / "device-ca"
    return (
        (folder / "certificate.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        [(one.module_id, one.generation_id, one.primary_key) for one in standing.modules.all()],
    )


def keys(gateway: Gateway) -> int:
    return len(list(gateway.home.manager.rglob("key.pem")))


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("by", ["time server", "hand", "next start"])
def test_right_wrong_right(gateway: Gateway, install_for_ever: Callable[[], Any], year: str, by: str) -> None:
    """A device CA that outlives every jump: what is renewed meanwhile is undone."""
    install_for_ever()
    right = gateway.clock.now
    first = gateway.start()
    first.modules.add("modA")
    before, count = kept(gateway, first), keys(gateway)
    wrong = gateway.start(YEARS[year])
    assert_serves(wrong, wrong.time.now())
    gateway.run(HOUR)
    wrong.time.save()
    gateway.synchronised = by == "time server"
    if by == "hand":
        gateway.clock.now = right + 2 * HOUR
        again = wrong
        assert again.time.in_use == (year != "1970")
        gateway.run(timedelta(seconds=SET_BACK))
        renewed(again)
    else:
        again = gateway.start(right + 2 * HOUR)
        for _ in range(25):
            gateway.run(HOUR)
            renewed(again)
    assert not again.time.in_use
    assert_serves(again, gateway.clock.now)
    assert kept(gateway, again) == before
    last = gateway.start()
    assert (last.issued, last.time.in_use, kept(gateway, last)) == ((), False, before)
    assert keys(gateway) <= count + 2  # and the pairs of before, until the new ones have proved themselves


@pytest.mark.parametrize("year", ["2038", "2106"])
def test_a_device_ca_that_seems_to_have_expired(gateway: Gateway, install: Callable[..., Any], year: str) -> None:
    """It is refused, nothing is issued and nothing removed; with the right clock everything serves as it did."""
    install()
    right = gateway.clock.now
    first = gateway.start()
    shown = fingerprint(first.hub.certificate)
    before, count = kept(gateway, first), keys(gateway)
    with pytest.raises(RuleViolation, match="expired"):
        gateway.start(YEARS[year])
    last = gateway.start(right + HOUR)
    assert (fingerprint(last.hub.certificate), last.issued, last.time.in_use) == (shown, (), False)
    assert (kept(gateway, last), keys(gateway)) == (before, count)
    assert_serves(last, gateway.clock.now)


@pytest.mark.parametrize("wrong", ["2038", "2106"])
def test_a_running_manager_meets_the_jump(gateway: Gateway, install_for_ever: Callable[[], Any], wrong: str) -> None:
    """Forwards: everything is due, and renewed. Back: what was renewed is not valid yet, and is renewed again."""
    install_for_ever()
    standing = gateway.start()
    right = gateway.clock.now
    gateway.clock.now = YEARS[wrong]
    assert len(renewed(standing)) == 2
    assert renewed(standing) == []
    gateway.clock.now, gateway.synchronised = right, True
    assert len(renewed(standing)) == 2
    assert renewed(standing) == []
    assert standing.time.lowered == 1
    assert_serves(standing, right)


@pytest.mark.parametrize("year", YEARS)
def test_a_first_start_with_a_wrong_clock(gateway: Gateway, install_for_ever: Callable[[], Any], year: str) -> None:
    install_for_ever()
    right = gateway.clock.now
    first = gateway.start(YEARS[year])
    assert first.time.now() >= BUILT
    assert_serves(first, first.time.now())
    gateway.synchronised = True
    again = gateway.start(right)
    again.time.save()
    renewed(again)
    assert_serves(again, right)
    assert gateway.start().issued == ()


def test_a_file_lost_while_the_clock_was_ahead(gateway: Gateway, install_for_ever: Callable[[], Any]) -> None:
    """Nothing but the own certificates says 2038: the start with the right clock issues them anew."""
    install_for_ever()
    right = gateway.clock.now
    gateway.start(YEARS["2038"])
    (gateway.home.manager / LAST_SEEN).unlink()
    again = gateway.start(right)
    assert (again.time.in_use, len(again.issued)) == (False, 2)
    assert_serves(again, right)


def test_a_module_is_told_that_its_certificate_was_issued_ahead(
    gateway: Gateway, install_for_ever: Callable[[], Any]
) -> None:
    install_for_ever()
    standing = gateway.start()
    standing.held.record("modA", standing.hub.certificate)
    assert standing.held.take_due(standing.time.now()) == []
    ahead = standing.hub.certificate.not_valid_before_utc - DAY
    assert [one.module_id for one in standing.held.take_due(ahead)] == ["modA"]
    assert standing.held.take_due(ahead) == []
