"""The hub's time where the system's clock is behind what is known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.hub.clock import BUILT, HubClock
from tests.hub.conftest import RunningHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import NOW, login

DEAD = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "last-seen"


def test_a_clock_that_is_right(file: Path) -> None:
    """The system's time, however old what is known."""
    later = datetime.now(UTC) + timedelta(days=1)
    file.write_text(NOW.isoformat())
    clock = HubClock(lambda: later, file)
    clock.learn([make("x").leaf])
    assert clock() == later


@pytest.mark.parametrize("text", [None, b"", b"soon", b"2026-07-01T00:00:00", b"\xff", b"x" * 2000])
def test_a_file_that_says_nothing(file: Path, text: bytes | None) -> None:
    """None, damaged, without a zone, too long: passed over; this program was built all the same."""
    if text is not None:
        file.write_bytes(text)
    assert HubClock(lambda: DEAD, file)() == BUILT


def test_the_last_time_that_the_manager_saw(file: Path) -> None:
    """In whatever zone it was written; what stands below it is the manager's own."""
    file.write_text(f"{NOW.astimezone().isoformat()}\n{{}}\n")
    clock = HubClock(lambda: DEAD, file)
    assert clock() == NOW
    assert clock().tzinfo is UTC


def test_the_manager_puts_its_time_back(file: Path, device_ca: Held) -> None:
    """2036 was seen, and the chain was made then. The manager finds that it is 2026: so does the hub, at once."""
    ahead = NOW + timedelta(days=3650)
    file.write_text(ahead.isoformat())
    right = NOW + timedelta(minutes=1)
    clock = HubClock(lambda: right, file)
    clock.learn(make("x", device_ca, days=(3640, 3700)).certificates)
    assert clock() == ahead
    file.with_name("new").write_text(NOW.isoformat())
    file.with_name("new").rename(file)
    assert clock() == right


def test_the_newest_of_the_served_chain(file: Path, device_ca: Held, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing was saved: it was made, so that time has been. Said once an hour, not once a minute."""
    leaf = make("x", device_ca, days=(-1, 9))
    clock = HubClock(lambda: DEAD, file)
    for _ in range(3):
        clock.learn(leaf.certificates)
    assert clock() == max(one.not_valid_before_utc for one in leaf.certificates)
    assert [record.getMessage().partition(" is behind")[0] for record in caplog.records] == ["the system's clock"]
    older = make("y", device_ca, days=(-20, 9))
    clock.learn(older.certificates)
    assert clock() == max(BUILT, *(one.not_valid_before_utc for one in older.certificates))


async def test_a_gateway_without_a_battery(hub: RunningHub, device_ca: Held) -> None:
    """The system says 1970: certificates are valid, and a token that expired years ago is not."""
    await hub.stop()
    hub.clock = lambda: DEAD
    await hub.start()
    hub.add("leaf1")
    hub.add("leaf2", auth="x509-ca")
    await hub.connected("leaf2", key=None, held=make("leaf2", device_ca, client=True, days=(-2, 9)))
    await hub.connected("leaf1")
    refused = await (await hub.client()).connect(login("leaf1", expiry=1_600_000_000))
    assert refused.return_code == 5
    assert await hub.counted("refused_total", "sas-expired") == 1
