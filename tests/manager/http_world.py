"""An HTTP server as the manager has it, with a few routes of its own, on a unix socket; and how to talk to it."""

import asyncio
import json
from collections.abc import AsyncIterator

from leafward.errors import AccessDenied, Busy, NotFound, StoreError
from leafward.manager.http_edge import Answer
from leafward.manager.http_routes import Call, Route, Routes, anybody

Reader = asyncio.StreamReader


Writer = asyncio.StreamWriter


LIMIT = 1000


class World:
    """The routes, and what happened at them."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.release = asyncio.Event()
        self.ended: list[str] = []

    def routes(self) -> Routes:
        table = (
            Route("GET", "/hello", lambda _call: b"{}", admit=anybody),
            Route("GET", "/newer", lambda _call: b"{}", admit=anybody, since="2020-07-07"),
            Route("POST", "/modules/{name}/echo", lambda call: call.body, status=201),
            Route("POST", "/modules/{name}/dear", self.dear, manner="in-turn"),
            Route("POST", "/modules/{name}/later", self.later, manner="later", status=204),
            Route("GET", "/modules/{name}/events", self.events, manner="stream", content_type="text/event-stream"),
            Route("GET", "/modules/{name}/raise/{genid}", self.fail),
            Route("GET", "/query", lambda call: json.dumps(dict(call.query)).encode(), admit=anybody),
        )
        return Routes(table, self.admit, owner=lambda call: call.module_id or "nobody", body_limit=LIMIT)

    def admit(self, call: Call) -> None:
        if call.module_id == "stranger":
            raise AccessDenied("forbidden")

    def dear(self, call: Call) -> bytes:
        self.order.append(call.module_id)
        return b"{}"

    async def later(self, call: Call) -> bytes:
        await self.release.wait()
        if call.body == b"fail":
            raise NotFound("it is not there", hint="look elsewhere")
        return b"x"

    async def events(self, call: Call) -> AsyncIterator[bytes]:
        if call.module_id == "busy":
            raise Busy("too many listen")
        try:
            yield b": here\n\n"
            await self.release.wait()
            yield b"data: 1\n\n"
        finally:
            self.ended.append(call.module_id)

    def fail(self, call: Call) -> Answer:
        kinds: dict[str | None, Exception] = {
            "ours": StoreError("the disk is full", hint="free some space"),
            "fault": ZeroDivisionError("a secret"),
            "time": TimeoutError(),
        }
        if call.generation_id in kinds:
            raise kinds[call.generation_id]
        return Answer(501, b'{"message":"no"}')


def request(method: str, path: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    lines = [f"{method} {path}?api-version=2019-10-22 HTTP/1.1", "Host: x", *headers]
    if body or length is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answer(reader: Reader) -> tuple[int, dict[str, str], bytes]:
    """The next answer; status 0 where the connection ended without one."""
    async with asyncio.timeout(10):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, {}, b""
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body


async def ended(reader: Reader) -> bool:
    async with asyncio.timeout(10):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True
