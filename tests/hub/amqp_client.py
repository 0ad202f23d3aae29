"""An AMQP client that does just what a test tells it, one step at a time: Qpid Proton's engine over a TLS stream."""

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from proton import Collector, Connection, Delivery, Endpoint, Event, Message, Transport, symbol

from leafward.wire import sas
from tests.hub.hub_clients import HOST, KEY, PATIENCE

TOKEN_TYPE = "servicebus.windows.net:sastoken"


def token(resource: str, *, key: bytes = KEY, seconds: int = 3600, name: str | None = None) -> str:
    """A token that ends in so many seconds."""
    return sas.sign(resource, key, int(datetime.now(UTC).timestamp()) + seconds, name)


class AmqpClient:
    """One connection. Every wait ends in `PATIENCE` seconds; `closed` says with what condition the hub ended it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.connection = Connection()
        self.connection.container = f"test-{uuid4()}"
        self.connection.hostname = HOST
        self.transport = Transport(Transport.CLIENT)
        self.collector = Collector()
        self.connection.collect(self.collector)
        self.received: dict[str, list[tuple[Any, Message]]] = {}
        self.session: Any = None
        self.gone = False

    def begin(
        self, *, user: str | None = None, password: str | None = None, mechanism: str | None = "ANONYMOUS"
    ) -> None:
        """What the client will say first; without `mechanism` no SASL at all."""
        if mechanism is not None:
            layer = self.transport.sasl()
            layer.allowed_mechs(mechanism)
            layer.allow_insecure_mechs = True
        if user is not None:
            self.connection.user, self.connection.password = user, password
        self.transport.bind(self.connection)
        self.connection.open()
        self.session = self.connection.session()
        self.session.open()

    async def step(self) -> bool:
        """Writes what is to be written and reads once. False when the hub has closed the connection."""
        await self.write()
        try:
            data = await asyncio.wait_for(self.reader.read(65_536), PATIENCE)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.gone = True
            return False
        at = 0
        while at < len(data):
            room = self.transport.capacity()
            if room <= 0:
                break
            self.transport.push(data[at : at + room])
            at += room
            self.dispatch()
        await self.write()
        return True

    async def write(self) -> None:
        while (size := self.transport.pending()) > 0:
            self.writer.write(bytes(self.transport.peek(size)))
            self.transport.pop(size)
        try:
            await self.writer.drain()
        except (ConnectionError, ssl.SSLError):
            self.gone = True

    def dispatch(self) -> None:
        while (event := self.collector.peek()) is not None:
            if event.type is Event.DELIVERY:
                delivery = event.delivery
                link = delivery.link
                if link.is_receiver and delivery.readable and not delivery.partial:
                    message = Message()
                    message.decode(link.recv(delivery.pending))
                    link.advance()
                    self.received.setdefault(link.name, []).append((delivery, message))
            self.collector.pop()

    async def until(self, done: Any) -> Any:
        """Steps until `done()` is true; what it says. Fails when the hub hangs up before."""
        while not (found := done()):
            assert await self.step(), f"the hub has hung up: {self.condition}"
        return found

    @property
    def condition(self) -> str | None:
        """The error with which the hub ended the connection, or refused the login."""
        for found in (self.connection.remote_condition, self.transport.condition):
            if found is not None:
                return str(found.name)
        return None

    async def closed(self) -> str | None:
        """Reads until the hub hangs up; its condition."""
        while await self.step():
            pass
        return self.condition

    async def attach(self, address: str, *, sends: bool, credit: int = 10, session: Any = None) -> Any:
        """A link that is open. Raises `LinkError` with the condition where the hub refuses it."""
        session = self.session if session is None else session
        name = f"{'to' if sends else 'from'}-{address}-{uuid4()}"
        link = session.sender(name) if sends else session.receiver(name)
        (link.target if sends else link.source).address = address
        link.open()
        if not sends and credit:
            link.flow(credit)
        await self.until(lambda: link.state & (Endpoint.REMOTE_ACTIVE | Endpoint.REMOTE_CLOSED))
        terminus = link.remote_target if sends else link.remote_source
        if terminus.address is None:
            await self.until(lambda: link.state & Endpoint.REMOTE_CLOSED)
            raise LinkError(str(link.remote_condition.name))
        return link

    async def ended(self, link: Any) -> str | None:
        """Waits for the hub to close a link; why."""
        await self.until(lambda: link.state & Endpoint.REMOTE_CLOSED)
        return None if link.remote_condition is None else str(link.remote_condition.name)

    async def send(self, link: Any, message: Message | bytes) -> str:
        """Sends and waits for the outcome: "ACCEPTED", "RELEASED", or the condition of a rejection."""
        await self.until(lambda: link.credit > 0)
        delivery = link.delivery(str(uuid4()))
        link.send(message if isinstance(message, bytes) else message.encode())
        link.advance()
        await self.until(lambda: delivery.remote_state)
        state = delivery.remote_state
        delivery.settle()
        if state == Delivery.REJECTED:
            return str(delivery.remote.condition.name)
        return {Delivery.ACCEPTED: "ACCEPTED", Delivery.RELEASED: "RELEASED"}[state]

    async def receive(self, link: Any) -> tuple[Any, Message]:
        """The next message of a link, and its delivery."""
        await self.until(lambda: self.received.get(link.name))
        return self.received[link.name].pop(0)

    async def put_token(self, text: str, *, kind: str = TOKEN_TYPE, operation: str = "put-token") -> int:
        """Puts a token by `$cbs`; the status."""
        if not hasattr(self, "_cbs"):
            self._cbs = (await self.attach("$cbs", sends=True), await self.attach("$cbs", sends=False))
        there, back = self._cbs
        request = Message(text, id=str(uuid4()), reply_to="cbs")
        request.properties = {"operation": operation, "type": kind, "name": "anything"}
        assert await self.send(there, request) == "ACCEPTED"
        delivery, answer = await self.receive(back)
        delivery.settle()
        back.flow(1)
        assert answer.correlation_id == request.id
        return int(answer.properties["status-code"])


class LinkError(Exception):
    """The hub has refused a link."""


def annotated(body: bytes, **annotations: Any) -> Message:
    message = Message(body, inferred=True)
    message.annotations = {symbol(name): value for name, value in annotations.items()}
    return message


@contextlib.asynccontextmanager
async def raw(hub: Any, held: Any = None, *, receive_buffer: int | None = None) -> AsyncIterator[AmqpClient]:
    """A client that is through with TLS and has said nothing yet. `receive_buffer`: bytes that the kernel keeps."""
    own = socket.socket()
    own.setblocking(False)
    if receive_buffer is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", hub.at.amqp_port))
    reader, writer = await asyncio.open_connection(sock=own, ssl=hub.trusting(held), server_hostname=HOST)
    client = AmqpClient(reader, writer)
    try:
        yield client
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def device(hub: Any, device_id: str, module_id: str | None = None, **options: Any) -> AsyncIterator[AmqpClient]:
    """A device or module that has put its token."""
    async with raw(hub) as client:
        client.begin()
        assert await client.put_token(token(sas.resource_of("hub.example", device_id, module_id), **options)) == 200
        yield client


@contextlib.asynccontextmanager
async def service(hub: Any, policy: Mapping[str, Any]) -> AsyncIterator[AmqpClient]:
    """A service that has put the token of a policy, as the service API shows it."""
    async with raw(hub) as client:
        client.begin()
        assert await client.put_token(policy_token(policy)) == 200
        yield client


def policy_token(policy: Mapping[str, Any], *, which: str = "primary", host: str = HOST, seconds: int = 3600) -> str:
    """A token signed with one of a policy's keys."""
    key = base64.b64decode(policy[f"{which}_key"])
    return token(host, key=key, seconds=seconds, name=policy["name"])


async def make_policy(us: Any, name: str = "service", *permissions: str) -> dict[str, Any]:
    """A policy, made as the command does."""
    body = {"permissions": list(permissions) or ["ServiceConnect"]}
    told = await us.call("PUT", f"/hub/policies/{name}", json=body)
    assert told.status == 201, told
    found: dict[str, Any] = told.json
    return found
