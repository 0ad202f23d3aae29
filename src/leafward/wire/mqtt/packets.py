"""The control packets of MQTT 3.1.1 and MQTT 5 as values (OASIS mqtt-v3.1.1 and mqtt-v5.0, chapter 3).

A packet here is what the wire said or will say, nothing more: whether a peer may send it now is the session's
question. They are mutable dataclasses with slots because a frozen one costs four times as much to make, and a busy hub
makes a hundred thousand a second; treat them as values all the same. What only MQTT 5 has stands last, with a default:
`properties` (None for none) and `reason`, 0 for success.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leafward.wire.mqtt.properties import Properties

PROTOCOL_NAME = "MQTT"
PROTOCOL_LEVEL = 4
PROTOCOL_LEVEL_5 = 5

# Table 2.1. Two-byte integers leave no packet id 0 (2.3.1-1).
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)
MAX_PACKET_ID = 0xFFFF
MAX_REMAINING_LENGTH = 0x0FFF_FFFF  # 2.2.3: four bytes of seven bits
MAX_STRING = 0xFFFF  # 1.5.3: a two-byte length stands before every string
MAX_FILTERS = 64  # in one SUBSCRIBE or UNSUBSCRIBE; ours, no client of an IoT hub has more

# Table 3.1, return codes of CONNACK.
ACCEPTED = 0
UNACCEPTABLE_PROTOCOL_VERSION = 1
IDENTIFIER_REJECTED = 2
SERVER_UNAVAILABLE = 3
BAD_USER_NAME_OR_PASSWORD = 4
NOT_AUTHORISED = 5

# 3.9.3: what SUBACK says beside the granted QoS 0, 1 and 2.
SUBSCRIPTION_REFUSED = 0x80


@dataclass(slots=True)
class Will:
    """What the server publishes when the connection ends without DISCONNECT (3.1.2.5)."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    properties: "Properties | None" = None


@dataclass(slots=True)
class Connect:
    """A client's first packet (3.1).

    Where `level` is neither 4 nor 5 the client speaks another MQTT: only `protocol_name` and `level` mean something
    then, and the server answers CONNACK 0x01 (3.1.2-2). `keep_alive` is in seconds, 0 for none. `clean_session` is what
    MQTT 5 calls clean start.
    """

    client_id: str
    keep_alive: int = 0
    clean_session: bool = True
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None
    protocol_name: str = PROTOCOL_NAME
    level: int = PROTOCOL_LEVEL
    properties: "Properties | None" = None


@dataclass(slots=True)
class Connack:
    """The server's answer to CONNECT (3.2). `return_code` is a reason code in MQTT 5."""

    return_code: int = ACCEPTED
    session_present: bool = False
    properties: "Properties | None" = None


@dataclass(slots=True)
class Publish:
    """An application message (3.3). `packet_id` is None for QoS 0, 1-65535 otherwise."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None
    properties: "Properties | None" = None


@dataclass(slots=True)
class Puback:
    """A QoS 1 message has arrived (3.4)."""

    packet_id: int
    reason: int = 0
    properties: "Properties | None" = None


@dataclass(slots=True)
class Pubrec:
    """A QoS 2 message has arrived, part 1 (3.5)."""

    packet_id: int
    reason: int = 0
    properties: "Properties | None" = None


@dataclass(slots=True)
class Pubrel:
    """A QoS 2 message is released, part 2 (3.6)."""

    packet_id: int
    reason: int = 0
    properties: "Properties | None" = None


@dataclass(slots=True)
class Pubcomp:
    """A QoS 2 message is complete, part 3 (3.7)."""

    packet_id: int
    reason: int = 0
    properties: "Properties | None" = None


@dataclass(slots=True, frozen=True)
class SubscriptionOptions:
    """How MQTT 5 asks for a topic filter (3.8.3.1). `retain_handling`: 0 send, 1 send if new, 2 do not send."""

    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


@dataclass(slots=True)
class Subscribe:
    """Topic filters, each with the highest QoS the client wants (3.8); in MQTT 5 with all its options."""

    packet_id: int
    filters: "tuple[tuple[str, int | SubscriptionOptions], ...]"
    properties: "Properties | None" = None


@dataclass(slots=True)
class Suback:
    """One return code a filter, in order: the granted QoS or `SUBSCRIPTION_REFUSED` (3.9)."""

    packet_id: int
    return_codes: tuple[int, ...]
    properties: "Properties | None" = None


@dataclass(slots=True)
class Unsubscribe:
    """Topic filters to forget (3.10)."""

    packet_id: int
    filters: tuple[str, ...]
    properties: "Properties | None" = None


@dataclass(slots=True)
class Unsuback:
    """The filters are forgotten (3.11). MQTT 5 has a reason code a filter; 3.1.1 has none."""

    packet_id: int
    return_codes: tuple[int, ...] = ()
    properties: "Properties | None" = None


@dataclass(slots=True)
class Pingreq:
    """The client is alive (3.12)."""


@dataclass(slots=True)
class Pingresp:
    """So is the server (3.13)."""


@dataclass(slots=True)
class Disconnect:
    """The client leaves in peace; its will is not published (3.14). In MQTT 5 either side may say why."""

    reason: int = 0
    properties: "Properties | None" = None


@dataclass(slots=True)
class Auth:
    """A step of an extended authentication, of MQTT 5 only (3.15)."""

    reason: int = 0
    properties: "Properties | None" = None


Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
