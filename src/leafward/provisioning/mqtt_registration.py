"""One device that registers over MQTT with a service that listens itself: bytes in, bytes out, and its time limits.

The hub has connections of its own for what comes to its ports; here is no session, no topic but the registration's,
and nothing to keep. Whatever goes wrong ends this connection and no other.
"""

import asyncio
import logging
from collections.abc import Callable

from leafward.errors import InputError, ProtocolError
from leafward.provisioning.admission import Credential
from leafward.provisioning.desk import Desk, DeskAnswer
from leafward.wire import dps
from leafward.wire.dps_mqtt import Ask, DpsSession, Goodbye
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Packet

logger = logging.getLogger(__name__)

# Bytes of a packet: the largest body, its topic, and room.
PACKET_SIZE = dps.MAX_REQUEST_BODY + 4096
# Seconds from the handshake to a whole CONNECT, and of the whole connection.
CONNECT_SECONDS, LONGEST_SECONDS = 30.0, 900.0
KEEP_ALIVE_GRACE = 1.5


class MqttRegistration:
    """`receive` bytes, `over` at the end. It calls `send` with bytes and `close` when it has had enough."""

    def __init__(
        self,
        desk: Desk,
        credential: Callable[[str | None], Credential],
        *,
        send: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> None:
        """`credential` gives what the device brings, from its token or else from the handshake."""
        self._desk = desk
        self._credential_of = credential
        self._send = send
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(PACKET_SIZE)
        self._session: DpsSession | None = None
        self._credential = Credential()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keep_alive: float | None = None
        self._ended = False
        self._last = self._loop.time()
        self._end_at = self._last + LONGEST_SECONDS
        self._timer = self._loop.call_later(CONNECT_SECONDS, self._due)

    def receive(self, data: bytes) -> None:
        """Bytes from the device."""
        if self._ended:
            return
        self._last = self._loop.time()
        try:
            for packet in self._decoder.feed(data):
                self._take(packet)
        except InputError as error:
            logger.info("a registration's connection ends: %s", error)
            self._end()

    def over(self) -> None:
        """The connection is closed: nobody waits for answers."""
        self._ended = True
        self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _end(self) -> None:
        if not self._ended:
            self.over()
            self._close()

    def _take(self, packet: Packet) -> None:
        if self._session is None:
            if not isinstance(packet, Connect):
                raise ProtocolError("the first packet is no CONNECT", why=f"got {type(packet).__name__}")
            self._connect(packet)
            return
        for step in self._session.receive(packet):
            if isinstance(step, Goodbye):
                self._end()
            elif isinstance(step, Ask):
                task = self._loop.create_task(self._answer(self._session, step))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._send(encode(step, self._session.level))

    def _connect(self, packet: Connect) -> None:
        try:
            self._session = DpsSession(packet)
            token = None if packet.password is None else packet.password.decode("ascii")
            self._credential = self._credential_of(token)
        except (InputError, UnicodeDecodeError):
            self._send(encode(Connack(packets.NOT_AUTHORISED)))
            raise ProtocolError("no registration's CONNECT") from None
        if packet.keep_alive:
            self._keep_alive = packet.keep_alive * KEEP_ALIVE_GRACE
        self._watch()
        self._send(encode(self._session.welcome, self._session.level))

    async def _answer(self, session: DpsSession, ask: Ask) -> None:
        answer = await self._asked(session, ask)
        packet = session.answered(ask, answer.status, answer.body, answer.retry_after)
        if not self._ended:
            self._send(encode(packet, session.level))

    async def _asked(self, session: DpsSession, ask: Ask) -> DeskAnswer:
        login = session.login
        scope, name, version = login.scope, login.registration_id, login.api_version
        if ask.operation_id is None:
            return await self._desk.register(scope, name, self._credential, ask.body, version=version)
        return await self._desk.operation(scope, name, ask.operation_id, self._credential, version=version)

    def _watch(self) -> None:
        silent = self._end_at if self._keep_alive is None else self._last + self._keep_alive
        self._timer.cancel()
        self._timer = self._loop.call_at(min(silent, self._end_at), self._due)

    def _due(self) -> None:
        now = self._loop.time()
        quiet = self._keep_alive is not None and now - self._last < self._keep_alive
        if self._session is not None and now < self._end_at and quiet:
            self._watch()
        else:
            self._end()
