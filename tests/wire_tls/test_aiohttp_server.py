"""aiohttp on top of it: HTTPS whose handler sees the client's certificate and judges it."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_handler_sees_the_client_certificate(kit: Any, hub: Any, context: Any, tmp_path: Path, new_loop: Any) -> None:
    """A self-signed leaf device posts; so does one without a certificate."""
    pump = kit.make("pump-7", client=True)

    async def name_of_client(request: web.Request) -> web.Response:
        assert request.transport is not None
        tls = request.transport.get_extra_info("ssl_object")
        certificates = tls.peer_certificates()
        body = await request.read()
        return web.Response(
            text=f"{certificates[0].subject.rfc4514_string() if certificates else 'nobody'} {len(body)}"
        )

    async def scenario() -> list[str]:
        application = web.Application(client_max_size=10_000_000)
        application.router.add_post("/", name_of_client)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            return [await _post(url, kit, hub, identity, tmp_path) for identity in (pump, None)]
        finally:
            await runner.cleanup()

    with asyncio.Runner(loop_factory=new_loop) as running:
        assert running.run(scenario()) == ["CN=pump-7 1000000", "nobody 1000000"]


async def _post(url: str, kit: Any, hub: Any, identity: Any, folder: Path) -> str:
    trusting = kit.client_context(hub.root, identity=identity, folder=folder)
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=bytes(1_000_000), ssl=trusting, server_hostname=kit.HOST) as answer,
    ):
        assert answer.status == 200
        return await answer.text()
