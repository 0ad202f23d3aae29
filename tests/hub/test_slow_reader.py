"""What waits for a peer that does not read is bounded by bytes, whatever the clock says."""

from types import SimpleNamespace
from typing import Any

import pytest

from leafward.hub.deadlines import Deadlines
from leafward.hub.metrics import HubMetrics
from leafward.hub.mqtt_connection import MqttConnection
from leafward.hub.settings import Limits


class Link:
    """A transport that notes what is done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.written = b""

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high, self.low = high, low

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.done.append("pause_reading")

    def resume_reading(self) -> None:
        self.done.append("resume_reading")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")


@pytest.fixture
async def connection() -> tuple[MqttConnection, Link, HubMetrics]:
    """A connection for which 1,000 bytes may wait."""
    metrics, nothing = HubMetrics(), lambda *_: None
    hub: Any = SimpleNamespace(
        limits=Limits(write_bytes=1000),
        metrics=metrics,
        intake=SimpleNamespace(forget=nothing),
        endings=SimpleNamespace(tell=nothing),
    )
    owner: Any = SimpleNamespace(opened=nothing, closed=nothing, flush_soon=nothing, deadlines=Deadlines())
    made, link = MqttConnection(hub, owner), Link()
    made.connection_made(link)
    return made, link, metrics


async def test_more_than_may_wait(connection: tuple[MqttConnection, Link, HubMetrics]) -> None:
    """1,000 bytes wait; with one more the connection ends, and nothing of it is sent."""
    made, link, metrics = connection
    made.pause_writing()
    made.send(bytes(600))
    made.send(bytes(400))
    made.flush()
    assert not made.ended
    made.send(b"x")
    assert made.ended
    assert metrics.ended["slow-reader"] == 1
    assert link.done == ["pause_reading", "abort"]
    assert link.written == b""


async def test_who_reads_again_gets_what_waited(connection: tuple[MqttConnection, Link, HubMetrics]) -> None:
    """In its order, and is read from again."""
    made, link, _ = connection
    made.pause_writing()
    made.send(b"1" * 500)
    made.send(b"2" * 500)
    made.resume_writing()
    assert link.written == b"1" * 500 + b"2" * 500
    assert link.done == ["pause_reading", "resume_reading"]
    made.send(bytes(2000))
    assert not made.ended


async def test_who_keeps_up_may_get_more_at_once(connection: tuple[MqttConnection, Link, HubMetrics]) -> None:
    """The bound is for what waits, not for what one tick brings."""
    made, link, _ = connection
    made.send(bytes(5000))
    made.flush()
    assert not made.ended
    assert len(link.written) == 5000
