"""A message store that forwards to a broker in this process, which does just what a test tells it.

store -> forwarder -> TLS -> Broker: notes every message, then acknowledges it, or not
"""

import asyncio
import contextlib
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from leafward.hub.metrics import HubMetrics
from leafward.hub.store_thread import StoreThread
from leafward.hub.upstream import Forwarder
from leafward.hub.upstream_credentials import UpstreamCredentials
from leafward.hub.upstream_runner import Upstream
from leafward.hub.upstream_settings import UpstreamTable
from leafward.store.messages import REFUSED, UPSTREAM, Message, MessageStore
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Publish
from tests.hub.hub_certificates import Held
from tests.hub.hub_clients import HOST, NOW, PATIENCE

# What a broker does with a message: a reason to acknowledge it with, "hang up", or None for silence.
Verdict = Callable[[Publish], int | str | None]


@dataclass
class Broker:
    """`received` has every message in the order it came, whatever became of it."""

    context: ssl.SSLContext
    verdict: Verdict = lambda _packet: 0
    welcome: Connack = field(default_factory=Connack)
    greets: bool = True
    answers_pings: bool = True
    received: list[Publish] = field(default_factory=list)
    connects: list[Connect] = field(default_factory=list)
    goodbyes: int = 0
    most_in_flight: int = 0
    port: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As when it is killed: every connection is cut."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Resets every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def until(self, reached: Callable[[], Any]) -> None:
        """Waits until what a test wants is true; it is looked at after each packet."""
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(reached)

    def bodies(self) -> list[bytes]:
        return [packet.payload for packet in self.received]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder, level = Decoder(300_000), 4
        while data := await reader.read(65_536):
            waiting = 0
            for packet in decoder.feed(data):
                level = decoder.level
                if isinstance(packet, Connect):
                    self.connects.append(packet)
                    if self.greets:
                        writer.write(encode(self.welcome, level))
                elif isinstance(packet, Publish):
                    self.received.append(packet)
                    waiting += 1
                    self.most_in_flight = max(self.most_in_flight, waiting)
                    verdict = self.verdict(packet)
                    if isinstance(verdict, str):
                        return
                    if verdict is not None:
                        writer.write(encode(Puback(packet.packet_id or 0, verdict), level))
                elif isinstance(packet, Pingreq) and self.answers_pings:
                    writer.write(encode(Pingresp(), level))
                elif isinstance(packet, Disconnect):
                    self.goodbyes += 1
            await writer.drain()
            async with self.changed:
                self.changed.notify_all()


class _Sender:
    """Waits for one message to be durable."""

    def __init__(self) -> None:
        self.done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def stored(self, _token: int) -> None:
        self.done.set_result(None)

    def not_stored(self, _token: int, error: Exception) -> None:
        self.done.set_result(error)

    def room_again(self) -> None: ...


@dataclass
class World:
    """Everything between a message that is durable and a broker that has it."""

    messages: MessageStore
    store: StoreThread
    metrics: HubMetrics
    broker: Broker
    folder: Path
    now: datetime = NOW
    upstream: Upstream | None = None
    forwarder: Forwarder | None = None
    _task: asyncio.Task[None] | None = None

    def table(self, **changes: Any) -> UpstreamTable:
        values = {
            "kind": "mqtt",
            "host": HOST,
            "port": self.broker.port,
            "topic": "plant/{device}/{module}/{output}",
            "trust": "root.pem",
            "first_pause": 0.005,
            "longest_pause": 0.02,
            "connect_timeout": 5.0,
            **changes,
        }
        return UpstreamTable.model_validate(values)

    def run(self, table: UpstreamTable | None = None, *, credentials: Any = None) -> Upstream:
        """Begins to forward."""
        table = table or self.table()
        own = credentials or UpstreamCredentials(table, self.folder, "gateway-1", tuple)
        queues = [UPSTREAM, *(queue.endpoint for queue in self.messages.queues(UPSTREAM))]
        self.forwarder = Forwarder(self.store, queues, self.metrics, attempts=table.attempts)
        self.upstream = Upstream(table, own, self.forwarder, self.metrics, lambda: self.now, patience=2.0)
        self._task = asyncio.create_task(self.upstream.run())
        return self.upstream

    async def put(
        self, *bodies: bytes, device: str = "leaf1", queue: str = UPSTREAM, seconds: int | None = None, **changes: Any
    ) -> None:
        """Messages that are durable when this returns."""
        senders = []
        for body in bodies:
            message = Message(device, None, None, {}, {}, body, self.now)
            for name, value in changes.items():
                object.__setattr__(message, name, value)
            senders.append(_Sender())
            self.store.append(message, {queue: seconds}, senders[-1], 0)
        for sender in senders:
            error = await sender.done
            assert error is None, error

    async def drained(self, queue: str = UPSTREAM) -> None:
        """Returns when nothing waits for upstream any more."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await self.store.drain()
                if not self.messages.waiting(queue):
                    return
                await asyncio.sleep(0.005)

    def aside(self) -> list[bytes]:
        return [message.body for message in self.messages.pending(REFUSED)]

    async def stop(self) -> None:
        if self.upstream is not None and self._task is not None:
            await self.upstream.close()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self.upstream = None


def by_device(packets: list[Publish]) -> dict[str, list[int]]:
    """The numbers that each topic brought, each at its first arrival."""
    found: defaultdict[str, dict[int, None]] = defaultdict(dict)
    for packet in packets:
        found[packet.topic][int(packet.payload)] = None
    return {topic: list(numbers) for topic, numbers in found.items()}


@contextlib.asynccontextmanager
async def broker_of(folder: Path, server: Held, root: Held) -> AsyncIterator[Broker]:
    """A broker that listens; its root is in `root.pem`."""
    pair = folder / "server.pem"
    pair.write_bytes(server.pem() + server.key_pem())
    (folder / "root.pem").write_bytes(root.leaf.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    broker = Broker(context)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def world_of(folder: Path, broker: Broker) -> AsyncIterator[World]:
    """A world whose forwarder does not run yet."""
    metrics, messages = HubMetrics(), MessageStore.open(folder / "messages.db")
    now = datetime.now(UTC) - timedelta(seconds=1)

    def clock() -> datetime:
        return world.now

    store = StoreThread(messages, metrics, queue_bytes=10_000_000, batch_size=500, clock=clock)
    world = World(messages, store, metrics, broker, folder, now)
    try:
        yield world
    finally:
        await world.stop()
        await store.close()
