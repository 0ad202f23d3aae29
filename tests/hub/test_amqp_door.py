"""Whether there is a port for AMQP at all: not without the library, and not where somebody else has it."""

import socket
import sys

import pytest

from leafward.errors import Busy
from leafward.hub.amqp.door import AmqpDoor
from leafward.hub.amqp.settings import USUAL_PORT, AmqpTable
from tests.hub.conftest import StartHub

# Nothing here depends on the loop.
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


async def test_without_the_library(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port stays closed, and everything else is there."""
    monkeypatch.setitem(sys.modules, "proton", None)
    hub = await (await make_hub()).start()
    assert hub.at.amqp_port is None
    hub.add("leaf1")
    await hub.connected("leaf1")


async def test_a_port_that_was_asked_for(make_hub: StartHub) -> None:
    """Taken by somebody else, it keeps the hub from starting."""
    pytest.importorskip("proton", reason="Qpid Proton is not installed (the extra amqp)")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        hub = await make_hub(f"[hub.amqp]\nport = {other.getsockname()[1]}\n")
        with pytest.raises(Busy, match="cannot listen"):
            await hub.start()
    # It has ended.
    hub._task = None


async def test_the_usual_port() -> None:
    """Nobody has asked for it: the hub goes without. A hub whose ports the system chooses has this one chosen too."""
    asked: list[int] = []

    def bind(port: int) -> int:
        asked.append(port)
        if port:
            raise Busy("cannot listen there", hint="elsewhere")
        return 40_000

    door = AmqpDoor.__new__(AmqpDoor)
    door._terms, door._connections = AmqpTable(), object()
    assert door.listen(bind, 8883) is None
    assert door.listen(bind, 0) == 40_000
    assert asked == [USUAL_PORT, 0]
    door._terms = AmqpTable(port=5000)
    with pytest.raises(Busy):
        door.listen(bind, 8883)
