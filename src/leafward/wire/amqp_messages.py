"""IoT Hub's messages in AMQP: which property, annotation and application property means what.

A message here is a value of plain types (`AmqpContent`): whoever speaks AMQP turns it into bytes and back. System
properties have their long names inside leafward (`property_bag.py`).

| AMQP | long name |
|---|---|
| message-id, correlation-id, user-id | messageId, correlationId, userId |
| content-type, content-encoding | contentType, contentEncoding |
| absolute-expiry-time, creation-time | expiryTimeUtc, creationTimeUtc |
| annotations iothub-interface-id, dt-subject, iothub-message-schema | interfaceId, subject, messageSchema |
| annotation x-opt-output-name, or application property iothub-outputname | the output of a module |
| application properties | the sender's own, as text; iothub-ack beside them |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from leafward.errors import InputError, ProtocolError
from leafward.wire.devicebound import DeviceMessage, Stored
from leafward.wire.hub_topics import Telemetry
from leafward.wire.property_bag import MAX_PROPERTIES, check_forwardable, split_system
from leafward.wire.service_api_headers import ACK

OUTPUT_NAME, INPUT_NAME = "x-opt-output-name", "x-opt-input-name"
# C#'s SDK has it among the application properties.
_OUTPUT_PROPERTY = "iothub-outputname"
SEQUENCE_NUMBER, ENQUEUED_TIME, DELIVERY_COUNT = "x-opt-sequence-number", "iothub-enqueuedtime", "iothub-deliverycount"
CONNECTION_DEVICE_ID, CONNECTION_MODULE_ID = "iothub-connection-device-id", "iothub-connection-module-id"
# Some SDKs write them as annotations, some among the application properties.
_SYSTEM_NAMES = {
    "iothub-interface-id": "interfaceId",
    "iothub-creation-time-utc": "creationTimeUtc",
    "iothub-message-schema": "messageSchema",
    "dt-subject": "subject",
}
_SCALARS = (bool, int, float, str, UUID, bytes)


class Ulong(int):
    """A number that goes out as AMQP's ulong. C#'s SDK asks for the very type; a plain one goes as int."""


class Long(int):
    """As long."""


class Ubyte(int):
    """As ubyte."""


@dataclass(slots=True)
class AmqpContent:
    """A message. Times are aware; `annotations` and `application` by name, with values of AMQP's types.

    `bodiless`: it has no body at all, not even an empty one.
    """

    body: bytes = field(default=b"", repr=False)
    to: str | None = None
    message_id: Any = None
    correlation_id: Any = None
    user_id: bytes = b""
    content_type: str | None = None
    content_encoding: str | None = None
    expiry: datetime | None = None
    created: datetime | None = None
    application: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
    bodiless: bool = False

    def system(self) -> dict[str, str]:
        """The system properties by long name."""
        found = {
            "messageId": text_of(self.message_id),
            "correlationId": text_of(self.correlation_id),
            "userId": text_of(self.user_id or None),
            "contentType": self.content_type,
            "contentEncoding": self.content_encoding,
            "expiryTimeUtc": _written(self.expiry),
            "creationTimeUtc": _written(self.created),
        }
        named = {_SYSTEM_NAMES[name]: text_of(value) for name, value in self._named()}
        return {name: value for name, value in (*named.items(), *found.items()) if value}

    def own(self) -> dict[str, str]:
        """The sender's own properties, without what is the system's."""
        texts = {str(name): text_of(value) for name, value in self.application.items()}
        return {name: value or "" for name, value in texts.items() if name not in _NOT_OWN}

    def _named(self) -> list[tuple[str, Any]]:
        both = [*self.application.items(), *self.annotations.items()]
        return [(str(name), value) for name, value in both if str(name) in _SYSTEM_NAMES]


def telemetry_of(content: AmqpContent, *, module: bool) -> Telemetry:
    """The telemetry in a message; only a module has outputs. Raises `ProtocolError` for what cannot be passed on."""
    own, written, _ = split_system(content.own())
    system = {**written, **content.system()}
    if len(own) + len(system) > MAX_PROPERTIES:
        why = f"got {len(own) + len(system)}, at most {MAX_PROPERTIES}"
        raise ProtocolError("the message has too many properties", why=why)
    check_forwardable(own, system)
    output = content.annotations.get(OUTPUT_NAME) or content.application.get(_OUTPUT_PROPERTY)
    return Telemetry(own, system, text_of(output) or None if module else None)


def device_message_of(content: AmqpContent) -> DeviceMessage:
    """The message to a device in what a service sends. Raises `InputError` for what cannot be passed on."""
    system = {name: value for name, value in content.system().items() if name not in _NOT_FOR_DEVICES}
    if (ack := text_of(content.application.get(ACK))) is not None:
        system[ACK] = ack
    return DeviceMessage.checked(content.body, content.own(), system)


def content_for_device(message: Stored, attempts: int, expiry: datetime) -> AmqpContent:
    """A kept message as its device gets it. `attempts`: how often it was sent, this time among them."""
    system = message.system
    ack = {ACK: system[ACK]} if ACK in system else {}
    return AmqpContent(
        message.body,
        to=system.get("to"),
        message_id=system.get("messageId"),
        correlation_id=system.get("correlationId"),
        user_id=system.get("userId", "").encode(),
        content_type=system.get("contentType"),
        content_encoding=system.get("contentEncoding"),
        expiry=expiry,
        application={**ack, **message.properties},
        annotations={
            SEQUENCE_NUMBER: Ulong(message.id or 0),
            ENQUEUED_TIME: message.enqueued,
            DELIVERY_COUNT: Ubyte(min(attempts, 255)),
        },
    )


def content_for_input(
    input_name: str, properties: Mapping[str, str], system: Mapping[str, str], origin: tuple[str, str], body: bytes
) -> AmqpContent:
    """A message as a module gets it at one of its inputs. `origin`: the device and module (or "") that sent it."""
    named = {_ANNOTATED[name]: value for name, value in system.items() if name in _ANNOTATED}
    senders = dict(zip((CONNECTION_DEVICE_ID, CONNECTION_MODULE_ID), origin, strict=True))
    return AmqpContent(
        body,
        message_id=system.get("messageId"),
        correlation_id=system.get("correlationId"),
        user_id=system.get("userId", "").encode(),
        content_type=system.get("contentType"),
        content_encoding=system.get("contentEncoding"),
        application=dict(properties),
        annotations={INPUT_NAME: input_name, **named, **{name: value for name, value in senders.items() if value}},
    )


def text_of(value: Any) -> str | None:
    """A value of AMQP's as the text that IoT Hub makes of it; None for none. Raises `InputError` for a compound one.

    >>> text_of(True), text_of(7), text_of(b"abc"), text_of(None)
    ('true', '7', 'abc', None)
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return _written(value)
    if not isinstance(value, _SCALARS):
        raise InputError("a property is no single value", why=f"got {type(value).__name__}")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (int, float)):
        # Of AMQP's own kinds of number the text would name the kind.
        return str(int(value)) if isinstance(value, int) else str(float(value))
    return str(value)


def _written(time: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond, as AMQP counts."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_ANNOTATED = {long: name for name, long in _SYSTEM_NAMES.items()}
_NOT_OWN = frozenset({*_SYSTEM_NAMES, _OUTPUT_PROPERTY, ACK})
_NOT_FOR_DEVICES = frozenset({"interfaceId", "messageSchema", "subject"})
