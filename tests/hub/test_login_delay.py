"""How late a refused login is answered: later each time, per source and per identity, and nobody else waits."""

import pytest

from leafward.hub import login_delay
from leafward.hub.login_delay import LoginDelay

HERE, THERE = "192.0.2.1", "198.51.100.9"


def delay(longest: float = 10.0) -> tuple[LoginDelay, list[float]]:
    now = [0.0]
    return LoginDelay(longest=longest, monotonic=lambda: now[0]), now


def test_an_identity_from_one_address() -> None:
    """The first is free; then a quarter of a second, doubled each time, up to ten."""
    slow, _ = delay()
    waits = [slow.failed(HERE, "pump-7") for _ in range(9)]
    assert waits == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert slow.failed(HERE, "pump-7") == 10.0


def test_many_identities_from_one_address() -> None:
    """Eight are free: a line of devices behind one router that were all given the wrong key."""
    slow, _ = delay()
    waits = [slow.failed(HERE, f"pump-{number}") for number in range(12)]
    assert waits == [0.0] * 8 + [0.25, 0.5, 1.0, 2.0]


def test_nobody_is_locked_out() -> None:
    """An attacker fails in pump-7's name; pump-7's own first mistake, elsewhere, costs nothing."""
    slow, _ = delay()
    for _ in range(1000):
        slow.failed(THERE, "pump-7")
    assert slow.failed(HERE, "pump-7") == 0.0


def test_who_comes_in_owes_nothing() -> None:
    """The identity's count is gone; its address's is not."""
    slow, _ = delay()
    for _ in range(5):
        slow.failed(HERE, "pump-7")
    slow.succeeded(HERE, "pump-7")
    assert slow.failed(HERE, "pump-7") == 0.0


def test_time_heals() -> None:
    """A count halves in ten minutes."""
    slow, now = delay()
    for _ in range(4):
        slow.failed(HERE, "pump-7")
    now[0] += login_delay.HALVED_EVERY_SECONDS
    assert slow.failed(HERE, "pump-7") == 0.5  # 4 / 2 + 1 = 3 failures
    now[0] += 86_400.0
    assert slow.failed(HERE, "pump-7") == 0.0


def test_an_ipv6_network_is_one_source() -> None:
    """A host has 2^64 addresses of its own."""
    slow, _ = delay()
    waits = [slow.failed(f"2001:db8::{number}", "pump-7") for number in range(1, 4)]
    assert waits == [0.0, 0.25, 0.5]
    assert slow.failed("2001:db8:0:1::1", "pump-7") == 0.0


@pytest.mark.parametrize("longest", [0.1, 3.0])
def test_the_longest_is_the_operator_s(longest: float) -> None:
    slow, _ = delay(longest)
    assert max(slow.failed(HERE, "pump-7") for _ in range(50)) == longest


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a flood from anywhere in anybody's name the latest are remembered."""
    monkeypatch.setattr(login_delay, "MOST_ADDRESSES", 10)
    monkeypatch.setattr(login_delay, "MOST_IDENTITIES", 20)
    slow, _ = delay()
    for number in range(500):
        slow.failed(f"192.0.2.{number % 250}", f"pump-{number}" * 100)
    assert len(slow) == 30
