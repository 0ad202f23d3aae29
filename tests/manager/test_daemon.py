"""The manager as a running part: one a home, clean ends, both event loops."""

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from leafward.errors import Busy, NotFound, RuleViolation
from leafward.keys.key_store import KeyReference, open_key
from leafward.manager.daemon import Manager, run_manager
from leafward.manager.renewal_loop import RenewalLoop
from leafward.pki.encoding import private_key_to_pem
from leafward.store.home import Home


async def test_a_second_manager_is_told_who_holds_the_home(manager: Manager, home: Home, clock: Any) -> None:
    with pytest.raises(Busy, match="manager"):
        await Manager(home, clock=clock).start()
    assert home.workload_socket.exists()


async def test_a_failed_start_holds_nothing(home: Home, clock: Any, install: Any) -> None:
    with pytest.raises(NotFound, match="device CA"):
        await Manager(home, clock=clock).start()
    install(path_length=0)
    with pytest.raises(RuleViolation, match=r"path|allows"):
        await Manager(home, clock=clock).start()
    install()
    async with Manager(home, clock=clock):
        pass


async def test_a_socket_left_by_a_killed_manager_is_replaced(home: Home, clock: Any, install: Any) -> None:
    install()
    home.make_socket_folder()
    for path in (home.workload_socket, home.management_socket):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    async with Manager(home, clock=clock):
        reader, writer = await asyncio.open_unix_connection(home.workload_socket)
        writer.close()
        del reader


async def test_run_manager_is_ready_when_it_answers_and_ends_when_told(home: Home, clock: Any, install: Any) -> None:
    install()
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run_manager(home, clock=clock, stop=stop, ready=lambda _warnings: ready.set()))
    await asyncio.wait_for(ready.wait(), 10)
    _, writer = await asyncio.open_unix_connection(home.management_socket)
    writer.close()
    stop.set()
    await asyncio.wait_for(running, 10)
    assert not home.workload_socket.exists()


async def test_a_manager_that_cannot_renew_any_more_ends(
    home: Home, clock: Any, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()

    def fail(_self: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(RenewalLoop, "turn", fail)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run_manager(home, clock=clock, stop=asyncio.Event(), ready=lambda _warnings: None), 10)
    assert not home.workload_socket.exists()


async def test_an_idle_connection_does_not_hold_up_the_end(home: Home, clock: Any, install: Any) -> None:
    install()
    async with Manager(home, clock=clock):
        reader, writer = await asyncio.open_unix_connection(home.workload_socket)
        writer.write(b"GET /trust-bundle?api-version=2018-06-28 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readline()
    writer.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_the_peer_is_known_under_both_loops(home: Home, clock: Any, install: Any, run: Callable[[Any], Any]) -> None:
    """This very process attaches itself, and is the module from then on."""
    install()

    async def attach_and_ask() -> list[int]:
        async with Manager(home, clock=clock) as manager:
            generation = manager.standing.modules.get("$edgeHub").generation_id
            path = f"/modules/%24edgeHub/genid/{generation}/sign"
            return [
                await _post(str(home.workload_socket), path, {"data": ""}),
                await _post(str(home.management_socket), "/modules/%24edgeHub/attach", {}),
                await _post(str(home.workload_socket), path, {"data": ""}),
                await _post(str(home.management_socket), "/identities", {"moduleId": "modA"}),
            ]

    assert run(attach_and_ask()) == [403, 200, 200, 403]


async def test_no_secret_is_logged(home: Home, clock: Any, install: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    device_ca = install()
    async with Manager(home, clock=clock) as manager:
        standing = manager.standing
        keys = [standing.hub.pair.key, standing.workload_ca.pair.key, device_ca.key]
        shown = f"{caplog.text} {standing!r} {standing.hub.pair!r} {manager!r}"
        identity = standing.modules.get("$edgeHub")
    for key in keys:
        assert private_key_to_pem(key).decode().splitlines()[1] not in shown
    assert identity.primary_key is not None
    assert repr(identity.primary_key) not in shown
    assert open_key(KeyReference("file", str(home.manager / "device-ca" / "key.pem")))


async def _post(where: str, path: str, body: object) -> int:
    reader, writer = await asyncio.open_unix_connection(where)
    data = json.dumps(body).encode()
    head = f"POST {path}?api-version=2019-01-30 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status
