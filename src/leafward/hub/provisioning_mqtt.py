"""Registrations over MQTT and MQTT over WebSocket, on the hub's own connections.

A CONNECT whose user name is a registration's is no device's or module's: its connection is handed over to this room,
packet for packet, from there to its end. What it asks goes through the same door as over HTTPS.
"""

import asyncio
from urllib.parse import urlencode

from yarl import URL

from leafward.errors import LeafwardError, ProtocolError
from leafward.hub.hub import Hub
from leafward.hub.link import Connection
from leafward.hub.provisioning_door import DoorAnswer, ProvisioningDoor
from leafward.hub.refusals import Refusal
from leafward.wire import dps
from leafward.wire.dps_mqtt import Ask, DpsSession, Goodbye, is_registration
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, PROTOCOL_LEVEL_5, Connack, Connect, Packet
from leafward.wire.mqtt.reasons import Reason

# Seconds of one connection: a device that was told to come back later need not stay connected for longer.
LONGEST = 900.0


class ProvisioningMqtt:
    """Makes a `RegistrationConversation` of a connection. For the loop's thread."""

    def __init__(self, hub: Hub, door: ProvisioningDoor) -> None:
        self._hub = hub
        self._door = door

    @staticmethod
    def takes(username: str | None) -> bool:
        """Whether a CONNECT with this user name is for here."""
        return is_registration(username)

    def open(self, connection: Connection, packet: Connect) -> "RegistrationConversation | None":
        """Answers the CONNECT and takes the connection over; None where it was refused."""
        try:
            session, password = DpsSession(packet), _password(packet)
        except LeafwardError as error:
            self._refuse(connection, packet, str(error))
            return None
        return RegistrationConversation(self._door, connection, session, packet.keep_alive, password)

    def _refuse(self, connection: Connection, packet: Connect, why: str) -> None:
        is_new = packet.level == PROTOCOL_LEVEL_5
        answer = Connack(Reason.NOT_AUTHORIZED if is_new else packets.NOT_AUTHORISED)
        wait = self._hub.refusals.record(
            Refusal("login-malformed", why),
            claimed=packet.client_id,
            address=connection.address,
            at=self._hub.clock(),
        )
        level = packet.level if is_new else PROTOCOL_LEVEL
        connection.refuse(encode(answer, level), "login-malformed", wait)


class RegistrationConversation:
    """One device that registers, from its CONNECT to the end of the connection."""

    __slots__ = ("_connection", "_door", "_password", "_session", "_tasks")

    def __init__(
        self,
        door: ProvisioningDoor,
        connection: Connection,
        session: DpsSession,
        keep_alive: int,
        password: str | None,
    ) -> None:
        self._door = door
        self._connection = connection
        self._session = session
        self._password = password
        self._tasks: set[asyncio.Task[None]] = set()
        connection.established(keep_alive, LONGEST)
        connection.send(encode(session.welcome, session.level))

    def receive(self, packet: Packet) -> None:
        """One packet from the device. Raises `ProtocolError` for one that does not belong here."""
        for step in self._session.receive(packet):
            if isinstance(step, Goodbye):
                self._connection.end("disconnected", graceful=True)
            elif isinstance(step, Ask):
                task = asyncio.get_running_loop().create_task(self._answer(step))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._connection.send(encode(step, self._session.level))

    def over(self) -> None:
        """The connection has ended: nobody waits for the answers."""
        for task in self._tasks:
            task.cancel()

    async def _answer(self, ask: Ask) -> None:
        answer = await self._asked(ask)
        await asyncio.sleep(answer.wait)
        later = answer.headers.get("Retry-After")
        packet = self._session.answered(ask, answer.status, answer.body, None if later is None else int(later))
        self._connection.send(encode(packet, self._session.level))

    async def _asked(self, ask: Ask) -> DoorAnswer:
        login, connection = self._session.login, self._connection
        headers = {} if self._password is None else {"Authorization": self._password}
        try:
            certificates = () if self._password is not None else connection.presented()
        except LeafwardError:
            certificates = ()
        return await self._door.ask(
            "PUT" if ask.operation_id is None else "GET",
            _url(login.scope, login.registration_id, login.api_version, ask.operation_id),
            headers=headers,
            body=ask.body if ask.operation_id is None else b"",
            certificates=certificates,
            claimed=login.registration_id,
            address=connection.address,
        )


def _password(packet: Connect) -> str | None:
    """A token as a header may hold it. Raises `ProtocolError` for what is none."""
    if packet.password is None:
        return None
    if not all(0x20 <= octet < 0x7F for octet in packet.password):
        raise ProtocolError("the password is no token", why="it has characters that no token has")
    return packet.password.decode("ascii")


def _url(scope: str, registration_id: str, api_version: str, operation_id: str | None) -> URL:
    if operation_id is None:
        path = dps.register_path(scope, registration_id)
    else:
        path = dps.operation_path(scope, registration_id, operation_id)
    query = urlencode({"api-version": api_version})
    return URL.build(scheme="http", host="provisioning", path=path, query_string=query, encoded=True)
