"""How many sockets may be open: in all, from one address, and as the process's open files allow."""

import resource
from typing import Any

import pytest

from leafward.hub import descriptors
from leafward.hub import gate as gate_room
from leafward.hub.descriptors import raise_limit, within_descriptors
from leafward.hub.gate import Gate, host_of, source_of
from leafward.hub.log_budget import LogBudget
from leafward.hub.metrics import HubMetrics
from leafward.hub.settings import Limits


def gate(**limits: Any) -> tuple[Gate, HubMetrics]:
    metrics = HubMetrics()
    return Gate(Limits(**limits), metrics), metrics


def test_all_together() -> None:
    """Two; one leaves, and another may come."""
    doors, metrics = gate(connections=2, connections_per_address=9)
    first, second = doors.enter("192.0.2.1"), doors.enter("192.0.2.2")
    assert first is not None
    assert second is not None
    assert doors.enter("192.0.2.3") is None
    assert doors.enter("127.0.0.1") is None
    first.leave()
    first.leave()
    assert len(doors) == 1
    assert doors.enter("192.0.2.3") is not None
    assert metrics.refused == {"too-many-connections": 2}


def test_one_address() -> None:
    """A quarter of eight; another address still comes in, and whoever leaves makes room."""
    doors, metrics = gate(connections=8)
    tickets = [doors.enter("192.0.2.1") for _ in range(2)]
    assert doors.enter("192.0.2.1") is None
    assert doors.enter("::ffff:192.0.2.1") is None
    assert doors.enter("192.0.2.2") is not None
    assert tickets[0] is not None
    tickets[0].leave()
    assert doors.enter("192.0.2.1") is not None
    assert metrics.refused == {"too-many-from-one-address": 2}


def test_one_ipv6_network() -> None:
    """A host has 2^64 addresses of its own."""
    doors, _ = gate(connections=8)
    assert doors.enter("2001:db8::1") is not None
    assert doors.enter("2001:db8::2:3") is not None
    assert doors.enter("2001:db8::4") is None
    assert doors.enter("2001:db8:0:1::4") is not None


def test_this_machine() -> None:
    """Counted in all alone."""
    doors, _ = gate(connections=8)
    assert all(doors.enter(address) for address in ("127.0.0.1", "127.9.9.9", "::1", "127.0.0.1", "127.0.0.1"))
    assert len(doors) == 5


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("?", None),
        ("", None),
    ],
)
def test_what_counts_as_one(address: str, source: str | None) -> None:
    assert source_of(address) == source


@pytest.mark.parametrize(("limits", "most"), [({}, 2500), ({"connections": 2}, 1), ({"connections_per_address": 7}, 7)])
def test_a_quarter_unless_it_is_set(limits: dict[str, int], most: int) -> None:
    assert Limits(**limits).most_from_one_address == most


def test_a_flood_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """However many are reset."""
    now = [0.0]
    doors = Gate(Limits(connections=1), HubMetrics(), budget=LogBudget(1, 60.0, monotonic=lambda: now[0]))
    assert doors.enter("192.0.2.1")
    for _ in range(120):
        now[0] += 1.0
        assert doors.enter("192.0.2.2") is None
    assert len(caplog.records) == 2
    assert "192.0.2.2" in caplog.text


# ---- how fast


def timed_gate(**limits: Any) -> tuple[Gate, HubMetrics, list[float]]:
    now = [0.0]
    metrics = HubMetrics()
    return Gate(Limits(**limits), metrics, monotonic=lambda: now[0]), metrics, now


def test_new_connections_of_one_address() -> None:
    """Three at once, then two a second; another address is not concerned, and a slow one never."""
    doors, metrics, now = timed_gate(connection_rate=2.0, connection_burst=3)
    assert [doors.enter("192.0.2.1") is not None for _ in range(5)] == [True, True, True, False, False]
    assert doors.enter("192.0.2.2") is not None
    now[0] += 1.0
    assert [doors.enter("192.0.2.1") is not None for _ in range(3)] == [True, True, False]
    now[0] += 3600.0
    assert [doors.enter("192.0.2.1") is not None for _ in range(4)] == [True, True, True, False]
    assert metrics.refused == {"too-fast-from-one-address": 4}


def test_this_machine_may_be_fast() -> None:
    doors, _, _ = timed_gate(connection_rate=1.0, connection_burst=1)
    assert all(doors.enter("127.0.0.1") for _ in range(50))


def test_rates_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a flood of addresses the latest."""
    monkeypatch.setattr(gate_room, "MOST_RATES", 10)
    doors, _, _ = timed_gate(connections=5000)
    for number in range(1000):
        ticket = doors.enter(f"10.0.{number // 250}.{number % 250}")
        assert ticket is not None
        ticket.leave()
    assert len(doors._rates._buckets) == 10
    assert len(doors) == 0


# ---- handshakes under way


def shaking(doors: Gate, address: str, dropped: list[str]) -> Any:
    ticket = doors.enter(address)
    assert ticket is not None
    ticket.give_up = lambda: dropped.append(address)
    return ticket


def test_the_oldest_handshake_gives_way() -> None:
    """Eight of sixteen may be under way. Of nine, from nine addresses, it is the first that goes."""
    doors, metrics = gate(connections=16, handshakes=8)
    dropped: list[str] = []
    for number in range(9):
        shaking(doors, f"192.0.2.{number}", dropped)
    assert dropped == ["192.0.2.0"]
    assert metrics.refused == {"too-many-handshakes": 1}
    assert (metrics.handshakes_under_way, metrics.sockets) == (8, 9)


def test_a_flood_drops_its_own() -> None:
    """One address with more than its share loses its own; an honest slow one from elsewhere stays."""
    doors, _ = gate(connections=64, connections_per_address=64, handshakes=8)
    dropped: list[str] = []
    shaking(doors, "192.0.2.1", dropped)
    for _ in range(30):
        shaking(doors, "198.51.100.1", dropped)
    assert dropped == ["198.51.100.1"] * 23


def test_who_is_through_is_safe() -> None:
    """An established connection is never dropped for a newcomer."""
    doors, metrics = gate(connections=16, handshakes=2)
    dropped: list[str] = []
    established = shaking(doors, "192.0.2.1", dropped)
    established.established()
    for _ in range(4):
        shaking(doors, "192.0.2.2", dropped)
    assert dropped == ["192.0.2.2"] * 2
    established.leave()
    established.established()
    assert (metrics.handshakes_under_way, metrics.sockets) == (2, 4)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.1:1883", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:8883", "2001:db8::1"),
        ("/devices/x", "/devices/x"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_an_address_with_its_port(address: str, host: str) -> None:
    """In brackets where it is of version 6."""
    assert host_of(address) == host


# ---- descriptors


def test_connections_within_the_open_files(caplog: pytest.LogCaptureFixture) -> None:
    """Some are kept back for databases and the like; it is said when fewer are possible than allowed."""
    assert within_descriptors(Limits(), 20_000).connections == 10_000
    assert within_descriptors(Limits(), resource.RLIM_INFINITY).connections == 10_000
    assert caplog.records == []
    assert within_descriptors(Limits(), 4096).connections == 3840
    assert within_descriptors(Limits(), 200).connections == 100
    assert within_descriptors(Limits(connections=50), 200).connections == 50
    assert "this process may open 200 files" in caplog.text


def test_the_soft_limit_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the hard one; a system that refuses keeps the soft one."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _what: (1024, 4096))
    monkeypatch.setattr(descriptors.resource, "setrlimit", lambda _what, limits: asked.append(limits))
    assert raise_limit() == 4096
    assert asked == [(4096, 4096)]

    def refuse(_what: int, _limits: object) -> None:
        raise ValueError

    monkeypatch.setattr(descriptors.resource, "setrlimit", refuse)
    assert raise_limit() == 1024
