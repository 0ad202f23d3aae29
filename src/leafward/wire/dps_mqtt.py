"""The device API of the provisioning service over MQTT, sans-I/O: user names, topics, and a session of packets.

    CONNECT     user name {idScope}/registrations/{registrationId}/api-version=…&ClientVersion=…
    SUBSCRIBE   $dps/registrations/res/#
    PUBLISH     $dps/registrations/PUT/iotdps-register/?$rid={rid}                               the body of `register`
                $dps/registrations/GET/iotdps-get-operationstatus/?$rid={rid}&operationId={id}
    answers     $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}]

What is asked is the same as over HTTPS (`dps.py`), and so are the bodies.
"""

from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote

from leafward.errors import ProtocolError
from leafward.pki.names import parse_registration_id
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.packets import (
    PROTOCOL_LEVEL,
    PROTOCOL_LEVEL_5,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from leafward.wire.mqtt.reasons import MqttFault, Reason

ANSWERS = "$dps/registrations/res/#"
_REGISTER = "$dps/registrations/PUT/iotdps-register/"
_OPERATION = "$dps/registrations/GET/iotdps-get-operationstatus/"
_ANSWER = "$dps/registrations/res/"

LONGEST_USERNAME = 1024  # characters
LONGEST_RID = 128
MOST_ASKED = 4  # at once on one connection; the SDKs ask one thing after the other


@dataclass(frozen=True, slots=True)
class DpsLogin:
    """A user name of a registration. A claim only: token or client certificate prove it."""

    scope: str
    registration_id: str
    api_version: str

    @classmethod
    def parse(cls, username: str, client_id: str) -> "DpsLogin":
        """Raises `ProtocolError` for a user name of another form, or for another's client id; `NameFormatError`."""
        if len(username) > LONGEST_USERNAME:
            raise ProtocolError("the user name is too long", why=f"got {len(username)} characters")
        scope, registrations, registration_id, query = (*username.split("/", 3), "", "", "")[:4]
        fields = dict(part.partition("=")[::2] for part in query.split("&"))
        version = unquote(fields.get("api-version", ""))
        if registrations != "registrations" or not scope or not version:
            form = "{idScope}/registrations/{registrationId}/api-version=…"
            raise ProtocolError("the user name is not a registration's", hint=f"expected {form}")
        parse_registration_id(registration_id)
        if client_id.lower() != registration_id.lower():
            why = f"got {client_id[:128]!r}, expected {registration_id!r}"
            raise ProtocolError("the client id is not the registration id", why=why)
        return cls(scope, registration_id, version)


def is_registration(username: str | None) -> bool:
    """Whether a user name is a registration's, and none of an IoT hub's.

    >>> is_registration("0ne1/registrations/leaf/api-version=2019-03-31"), is_registration("hub/leaf/?api-version=1")
    (True, False)
    """
    if username is None:
        return False
    parts = username.split("/", 3)
    return len(parts) == 4 and parts[1] == "registrations" and parts[3].startswith("api-version=")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a device wants to know: `operation_id` None to register. `rid` is its own name for the question."""

    rid: str
    operation_id: str | None
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The device has said goodbye."""


Step: TypeAlias = Packet | Ask | Goodbye


def answer_topic(status: int, rid: str, retry_after: int | None) -> str:
    """Where an answer is published. `rid` as the device wrote it; the Python SDK wants it first."""
    later = "" if retry_after is None else f"&retry-after={retry_after}"
    return f"{_ANSWER}{status}/?$rid={rid}{later}"


class DpsSession:
    """One connection after CONNECT: packets in, packets and questions out. The answers go out at most once (QoS 0)."""

    __slots__ = ("_asked", "level", "login")

    def __init__(self, connect: Connect) -> None:
        """Raises what `DpsLogin.parse` does, and `ProtocolError` for a CONNECT that a registration does not send."""
        if connect.level not in (PROTOCOL_LEVEL, PROTOCOL_LEVEL_5):
            raise ProtocolError("the MQTT version is not known", why=f"got level {connect.level}")
        if connect.will is not None:
            raise ProtocolError("a registration has no will")
        self.login = DpsLogin.parse(connect.username or "", connect.client_id)
        self.level = connect.level
        self._asked = 0

    @property
    def welcome(self) -> Connack:
        """The answer to CONNECT. Who it is, is judged with each question."""
        return Connack(packets.ACCEPTED)

    def receive(self, packet: Packet) -> list[Step]:
        """What follows from a packet. Raises `ProtocolError` for one that does not belong here."""
        match packet:
            case Publish():
                return self._published(packet)
            case Subscribe():
                return [Suback(packet.packet_id, tuple(self._granted(*one) for one in packet.filters))]
            case Unsubscribe():
                reasons = (0,) * len(packet.filters) if self.level == PROTOCOL_LEVEL_5 else ()
                return [_unsuback(packet.packet_id, reasons)]
            case Pingreq():
                return [Pingresp()]
            case Puback():
                return []
            case Disconnect():
                return [Goodbye()]
        why = f"got {type(packet).__name__}"
        raise MqttFault("a registration does not send this", why=why, reason=Reason.PROTOCOL_ERROR)

    def answered(self, ask: Ask, status: int, body: bytes, retry_after: int | None) -> Publish:
        """The packet that answers a question."""
        self._asked -= 1
        return Publish(answer_topic(status, ask.rid, retry_after), body)

    def _published(self, packet: Publish) -> list[Step]:
        if packet.qos > 1 or packet.retain:
            raise MqttFault("a registration asks with QoS 0 or 1", reason=Reason.QOS_NOT_SUPPORTED)
        ask = _ask_of(packet)
        if self._asked >= MOST_ASKED:
            raise MqttFault("too many questions at once", reason=Reason.RECEIVE_MAXIMUM_EXCEEDED)
        self._asked += 1
        return [ask] if packet.packet_id is None else [Puback(packet.packet_id), ask]

    def _granted(self, topic_filter: str, options: SubscriptionOptions | int) -> int:
        if topic_filter != ANSWERS:
            return Reason.NOT_AUTHORIZED if self.level == PROTOCOL_LEVEL_5 else packets.SUBSCRIPTION_REFUSED
        return min(1, options if isinstance(options, int) else options.qos)


def _unsuback(packet_id: int, reasons: tuple[int, ...]) -> Unsuback:
    return Unsuback(packet_id, reasons) if reasons else Unsuback(packet_id)


def _ask_of(packet: Publish) -> Ask:
    for start, is_operation in ((_REGISTER, False), (_OPERATION, True)):
        if packet.topic.startswith(f"{start}?$"):
            fields = dict(part.partition("=")[::2] for part in packet.topic[len(start) + 2 :].split("&"))
            rid, operation_id = fields.get("rid", ""), unquote(fields.get("operationId", ""))
            if not 0 < len(rid) <= LONGEST_RID or (is_operation and not operation_id):
                break
            return Ask(rid, operation_id if is_operation else None, packet.payload)
    raise MqttFault(
        "a registration does not publish there", why=f"got {packet.topic[:200]!r}", reason=Reason.TOPIC_NAME_INVALID
    )
