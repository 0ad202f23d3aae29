"""The properties of MQTT 5 (OASIS mqtt-v5.0, 2.2.2): read strictly, each only where the text allows it and once.

A packet without properties, the common case, costs one byte and no object: `read` gives None.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from leafward.errors import ProtocolError
from leafward.wire.mqtt.cursor import Body, binary, text, variable
from leafward.wire.mqtt.reasons import MqttFault, Reason
from leafward.wire.mqtt.topics import check_name

# In one packet; ours: a property costs its receivers memory, and IoT Hub takes no more of a message either.
MAX_USER_PROPERTIES = 100


@dataclass(slots=True)
class Properties:
    """What a packet may hold beside its own fields; None and empty are absent. Times are in seconds."""

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = field(default=None, repr=False)
    subscription_identifier: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = field(default=None, repr=False)
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_property: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a value is written, and what may stand in it."""

    read: Callable[[Body, str], Any]
    write: Callable[[Any, str], bytes]
    allowed: Callable[[Any], bool] = lambda _value: True


def _integer(size: int, allowed: Callable[[int], bool] = lambda _value: True) -> _Kind:
    def write(value: int, name: str) -> bytes:
        if not 0 <= value < 1 << 8 * size:
            raise ProtocolError(f"the property {name} is out of range", why=f"got {value}")
        return value.to_bytes(size, "big")

    return _Kind(lambda body, _name: int.from_bytes(body.take(size), "big"), write, allowed)


def _pair(value: tuple[str, str], name: str) -> bytes:
    return text(value[0], name) + text(value[1], name)


def _is_name(value: str) -> bool:
    try:
        check_name(value)
    except ProtocolError:
        return False
    return True


_FLAG = _integer(1, lambda value: value <= 1)
_TWO, _TWO_NOT_0 = _integer(2), _integer(2, lambda value: value > 0)
_FOUR, _FOUR_NOT_0 = _integer(4), _integer(4, lambda value: value > 0)
_VARIABLE = _Kind(lambda body, _name: body.variable(), lambda value, _name: variable(value), lambda value: value > 0)
_TEXT = _Kind(lambda body, name: body.text(name), text)
_TOPIC = _Kind(lambda body, name: body.text(name), text, _is_name)
_BINARY = _Kind(lambda body, _name: body.binary(), binary)
_PAIR = _Kind(lambda body, name: (body.text(name), body.text(name)), _pair)

_MESSAGE = frozenset({"PUBLISH", "will"})
_ANSWERS = frozenset({"CONNACK", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "DISCONNECT", "AUTH"})
_ANYWHERE = _ANSWERS | _MESSAGE | {"CONNECT", "SUBSCRIBE", "UNSUBSCRIBE"}
_CONNECT, _CONNACK = frozenset({"CONNECT"}), frozenset({"CONNACK"})
_BOTH, _AUTH = _CONNECT | _CONNACK, _CONNECT | _CONNACK | {"AUTH"}

# Table 2-4: identifier -> name, kind, the packets it may stand in.
_TABLE: dict[int, tuple[str, _Kind, frozenset[str]]] = {
    0x01: ("payload_format_indicator", _FLAG, _MESSAGE),
    0x02: ("message_expiry_interval", _FOUR, _MESSAGE),
    0x03: ("content_type", _TEXT, _MESSAGE),
    0x08: ("response_topic", _TOPIC, _MESSAGE),
    0x09: ("correlation_data", _BINARY, _MESSAGE),
    0x0B: ("subscription_identifier", _VARIABLE, frozenset({"PUBLISH", "SUBSCRIBE"})),
    0x11: ("session_expiry_interval", _FOUR, _BOTH | {"DISCONNECT"}),
    0x12: ("assigned_client_identifier", _TEXT, _CONNACK),
    0x13: ("server_keep_alive", _TWO, _CONNACK),
    0x15: ("authentication_method", _TEXT, _AUTH),
    0x16: ("authentication_data", _BINARY, _AUTH),
    0x17: ("request_problem_information", _FLAG, _CONNECT),
    0x18: ("will_delay_interval", _FOUR, frozenset({"will"})),
    0x19: ("request_response_information", _FLAG, _CONNECT),
    0x1A: ("response_information", _TEXT, _CONNACK),
    0x1C: ("server_reference", _TEXT, _CONNACK | {"DISCONNECT"}),
    0x1F: ("reason_string", _TEXT, _ANSWERS),
    0x21: ("receive_maximum", _TWO_NOT_0, _BOTH),
    0x22: ("topic_alias_maximum", _TWO, _BOTH),
    0x23: ("topic_alias", _TWO, frozenset({"PUBLISH"})),
    0x24: ("maximum_qos", _FLAG, _CONNACK),
    0x25: ("retain_available", _FLAG, _CONNACK),
    0x26: ("user_property", _PAIR, _ANYWHERE),
    0x27: ("maximum_packet_size", _FOUR_NOT_0, _BOTH),
    0x28: ("wildcard_subscription_available", _FLAG, _CONNACK),
    0x29: ("subscription_identifier_available", _FLAG, _CONNACK),
    0x2A: ("shared_subscription_available", _FLAG, _CONNACK),
}
_BY_NAME = {name: (number, kind, where) for number, (name, kind, where) in _TABLE.items()}
_SEVERAL = frozenset({"user_property", "subscription_identifier"})
_NAMES = tuple(one.name for one in fields(Properties))


def read(body: Body, where: str) -> Properties | None:
    """The properties that come next in `body`; None for none. `where` is the packet's name, or "will".

    Raises `MqttFault`: malformed (2.2.2-1) or a protocol error, as the text says for each.
    """
    length = body.variable()
    if not length:
        return None
    rest = Body(where, body.take(length))
    found: dict[str, Any] = {}
    while rest.left:
        name, value = _one(rest, where)
        if name in _SEVERAL:
            found[name] = (*found.get(name, ()), value)
            if len(found[name]) > (1 if where == "SUBSCRIBE" and name != "user_property" else MAX_USER_PROPERTIES):
                raise MqttFault(f"{where} has too many of {name}", reason=Reason.PROTOCOL_ERROR)
        elif name in found:
            raise MqttFault(f"{where} has {name} twice", reason=Reason.PROTOCOL_ERROR)
        else:
            found[name] = value
    return Properties(**found)


def _one(body: Body, where: str) -> tuple[str, Any]:
    number = body.variable()
    name, kind, places = _TABLE.get(number, ("", _FLAG, frozenset()))
    if where not in places:
        what = f"the property {name}" if name else f"a property {number:#x}"
        raise MqttFault(f"{where} is malformed", why=f"{what} does not stand in it")
    value = kind.read(body, name)
    if not kind.allowed(value):
        raise MqttFault(f"{where} has a wrong {name}", why=f"got {value!r}"[:100], reason=Reason.PROTOCOL_ERROR)
    return name, value


def write(properties: Properties | None, where: str) -> bytes:
    """The properties with their length before them. Raises `ProtocolError` for one that does not stand in `where`."""
    if properties is None:
        return b"\0"
    written = b"".join(
        _written(name, value, where) for name in _NAMES if (value := getattr(properties, name)) not in (None, ())
    )
    return variable(len(written)) + written


def _written(name: str, value: Any, where: str) -> bytes:
    number, kind, places = _BY_NAME[name]
    values = value if name in _SEVERAL else (value,)
    if where not in places or not all(kind.allowed(one) for one in values):
        raise ProtocolError(f"{where} cannot be sent", why=f"the property {name} may not be {value!r} there"[:200])
    return b"".join(bytes((number,)) + kind.write(one, name) for one in values)
