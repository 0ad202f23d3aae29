"""Messages from the cloud, or the operator, to a device: as a service sends them, as a device and a person see them.

POST /devices/{device}/messages/deviceBound     the body is the message, its properties are headers
the same, application/vnd.microsoft.iothub.json  [{"body", "base64Encoded", "properties"}], one message: for
                                                 properties that can be no headers
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from leafward.errors import EncodingError, InputError
from leafward.wire.api_fields import Fields
from leafward.wire.base64_text import decode_base64, encode_base64
from leafward.wire.hub_messages import HubMessage, shown
from leafward.wire.hub_topics import devicebound_topic
from leafward.wire.json_value import read_json
from leafward.wire.property_bag import check_forwardable
from leafward.wire.service_api_headers import ACK, read_headers, write_headers

CONTENT_TYPE = "application/vnd.microsoft.iothub.json"
# IoT Hub's bounds: bytes of a message's body, characters of its ids.
MAX_MESSAGE = 64 * 1024
MAX_ID = 128
# A JSON body: the message in base64, and its properties.
MAX_BODY = 2 * MAX_MESSAGE + 64 * 1024
# Which feedback the sender wants; kept and shown to the device, as IoT Hub does.
ACKS = ("none", "positive", "negative", "full")
_EXPIRY = "expiryTimeUtc"
# What a sender may not set: these are the hub's words.
_RESERVED = ("$", "iothub-")
_SETTABLE = ("messageId", "correlationId", "userId", "contentType", "contentEncoding", "creationTimeUtc", _EXPIRY, ACK)


class Stored(HubMessage, Protocol):
    """A message as the hub keeps it, with its number."""

    @property
    def id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """What is sent to a device. `system` by long names; `expiry` is aware, None where the sender gave none."""

    body: bytes = field(repr=False)
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    expiry: datetime | None = None

    @classmethod
    def of_request(cls, headers: Mapping[str, str], body: bytes) -> Self:
        """Reads a request in either form. Raises `InputError` for what cannot be passed on, naming it."""
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() == CONTENT_TYPE:
            return cls._of_json(body)
        return cls._read(headers.items(), body)

    @classmethod
    def _of_json(cls, data: bytes) -> Self:
        value = read_json(data, "message")
        if not (isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict)):
            raise EncodingError("the message is malformed", why="expected a list of one object")
        fields = Fields(value[0], "message")
        text = fields.text("body")
        encoded = fields.values.get("base64Encoded") is not False
        body = decode_base64(text, "body of the message") if encoded else text.encode()
        return cls._read(fields.object("properties").texts().items(), body)

    @classmethod
    def _read(cls, headers: Iterable[tuple[str, str]], body: bytes) -> Self:
        properties, system = read_headers(headers)
        return cls.checked(body, properties, {name: value for name, value in system.items() if name in _SETTABLE})

    @classmethod
    def checked(cls, body: bytes, properties: Mapping[str, str], system: Mapping[str, str]) -> Self:
        """A message that a hub takes, unless its body is longer than `MAX_MESSAGE`.

        Raises `InputError` for properties that cannot be passed on, naming them.
        """
        for name in properties:
            if name.lower().startswith(_RESERVED):
                raise InputError(f"{name[:64]!r} is no name of a property", why="the hub's own begin so")
        _check_texts(properties, system)
        expiry = _expiry(system.get(_EXPIRY))
        exact = system if expiry is None else {**system, _EXPIRY: written(expiry)}
        return cls(body, properties, exact, expiry)

    def to_json(self) -> bytes:
        """The body of a request, in the form that takes any property."""
        headers = {f"iothub-app-{name}": value for name, value in self.properties.items()}
        value = {
            "body": encode_base64(self.body),
            "base64Encoded": True,
            "properties": {**headers, **write_headers({}, self.system)},
        }
        return json.dumps([value]).encode()

    def stamped(self, device_id: str, message_id: str) -> dict[str, str]:
        """The system properties as they are kept: an id where the sender gave none, and where it goes."""
        to = f"/devices/{device_id}/messages/devicebound"
        return {"messageId": message_id, **self.system, "to": to, ACK: self.system.get(ACK, ACKS[0])}


def endpoint_of(device_id: str) -> str:
    """The message store's endpoint for a device."""
    return f"devicebound/{device_id}"


def topic_of(device_id: str, message: HubMessage) -> str:
    """Where a kept message goes out: `devices/{d}/messages/devicebound/{properties}`.

    `iothub-ack` stands among the properties as it is: the SDKs look for it without a dollar sign.
    """
    ack = {ACK: message.system[ACK]} if ACK in message.system else {}
    return devicebound_topic(device_id, {**ack, **message.properties}, message.system)


def expiry_of(message: HubMessage, default: timedelta) -> datetime:
    """When a kept message is over (UTC): as its sender said, else `default` after it came."""
    told = message.system.get(_EXPIRY)
    return message.enqueued + default if told is None else datetime.fromisoformat(told)


def received_headers(message: Stored, attempts: int, expiry: datetime) -> dict[str, str]:
    """The headers of a message that a device fetches over HTTPS, as IoT Hub writes them."""
    return {
        **write_headers(message.properties, message.system),
        "iothub-sequencenumber": str(message.id),
        "iothub-enqueuedtime": written(message.enqueued),
        "iothub-expiry": written(expiry),
        "iothub-deliverycount": str(attempts),
    }


def waiting(message: Stored, attempts: int, expiry: datetime) -> dict[str, Any]:
    """A message that waits, as the operator sees it."""
    return {"id": message.id, "attempts": attempts, "expires": written(expiry), **shown(message)}


def written(time: datetime) -> str:
    """RFC 3339 in UTC, as it stands in a property."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _expiry(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError("the expiry is no time", why=f"got {text[:64]!r}, expected one such as 2030-01-31T12:00:00Z")
    return time.astimezone(UTC)


def _check_texts(properties: Mapping[str, str], system: Mapping[str, str]) -> None:
    """Nothing that could steer a terminal, or end a header; and all of it fits into a topic."""
    for name, value in (*properties.items(), *system.items()):
        if not (name.isprintable() and value.isprintable()):
            raise InputError(f"the property {ascii(name)[:64]} holds a control character")
    for name in ("messageId", "correlationId", "userId"):
        if len(system.get(name, "")) > MAX_ID:
            raise InputError(f"the {name} is too long", why=f"at most {MAX_ID} characters are taken")
    if (ack := system.get(ACK, ACKS[0]).lower()) not in ACKS:
        raise InputError(f"{ack[:32]!r} is no feedback", hint=f"iothub-ack is one of {', '.join(ACKS)}")
    check_forwardable(properties, system)
