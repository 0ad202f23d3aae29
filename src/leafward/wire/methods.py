"""Direct methods as IoT Hub's REST API has them: a call, and what the device answered.

A payload is passed on as JSON text and never interpreted: what a device answered goes back byte for byte.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Self

from leafward.errors import EncodingError, InputError
from leafward.wire.api_fields import Fields
from leafward.wire.json_value import Json, read_json

# IoT Hub's bounds: bytes of a payload in either direction, and seconds.
MAX_PAYLOAD = 128 * 1024
MAX_BODY = 2 * MAX_PAYLOAD
SHORTEST_RESPONSE_TIMEOUT, LONGEST_TIMEOUT = 5, 300
DEFAULT_RESPONSE_TIMEOUT = 30

# What IoT Hub takes as a name: US-ASCII without separators, as a token of HTTP.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_NULL = b"null"


@dataclass(frozen=True, slots=True)
class MethodCall:
    """One call. `payload` is JSON text; `null` where the caller gave none.

    `response_timeout`: seconds for the answer; `connect_timeout`: seconds to wait for a device that is not there.
    """

    name: str
    payload: bytes = field(default=_NULL, repr=False)
    response_timeout: int = DEFAULT_RESPONSE_TIMEOUT
    connect_timeout: int = 0

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads the body of a request. Raises `InputError` for what is none, naming the field."""
        fields = Fields.parse(data, "method call", limit=MAX_BODY)
        response = _seconds(fields, "responseTimeoutInSeconds", SHORTEST_RESPONSE_TIMEOUT, DEFAULT_RESPONSE_TIMEOUT)
        connect = _seconds(fields, "connectTimeoutInSeconds", 0, 0)
        return cls(check_name(fields.text("methodName")), _payload(fields.values.get("payload")), response, connect)

    def to_json(self) -> bytes:
        """The body of a request."""
        head = {
            "methodName": self.name,
            "responseTimeoutInSeconds": self.response_timeout,
            "connectTimeoutInSeconds": self.connect_timeout,
        }
        return _with_payload(head, self.payload)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What a device answered: its own status, any number, and its payload as JSON text."""

    status: int
    payload: bytes = field(default=_NULL, repr=False)

    @classmethod
    def of_device(cls, status: int, payload: bytes) -> Self:
        """From the message of a device; an empty payload is null. Raises `EncodingError` where it is no JSON."""
        if len(payload) > MAX_PAYLOAD:
            why = f"got {len(payload)} bytes, at most {MAX_PAYLOAD} are taken"
            raise EncodingError("the answer to the method is too large", why=why)
        if not payload.strip():
            return cls(status)
        read_json(payload, "answer to the method")
        return cls(status, payload)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads the body of an answer. Raises `EncodingError`."""
        fields = Fields.parse(data, "answer to the method", limit=MAX_BODY)
        status = fields.values.get("status")
        if isinstance(status, bool) or not isinstance(status, int):
            raise EncodingError("the answer to the method has no status")
        return cls(status, _dumped(fields.values.get("payload")))

    def to_json(self) -> bytes:
        """The body of an answer."""
        return _with_payload({"status": self.status}, self.payload)


def check_name(name: str) -> str:
    """`name` if it may be a method's. Raises `InputError`."""
    if not _NAME.fullmatch(name):
        why = f"got {name[:120]!r}, expected 1 to 100 ASCII letters, digits and signs that separate nothing"
        raise InputError("this is no name of a method", why=why)
    return name


def check_payload(text: bytes) -> bytes:
    """`text` if it is JSON and not too large. Raises `InputError`."""
    _refuse_large(text)
    read_json(text, "payload")
    return text


def _payload(value: Json) -> bytes:
    payload = _dumped(value)
    _refuse_large(payload)
    return payload


def _refuse_large(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise InputError("the payload is too large", why=f"got {len(payload)} bytes, at most {MAX_PAYLOAD} are taken")


def _dumped(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _with_payload(head: dict[str, Any], payload: bytes) -> bytes:
    """The payload is JSON already: it is set in as it is, and nothing of it is lost on the way."""
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"payload":' + payload + b"}"


def _seconds(fields: Fields, name: str, least: int, default: int) -> int:
    """Whole seconds; null and nothing are the default, since the SDKs send what their caller left out as null."""
    value = fields.values.get(name)
    if value is None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LONGEST_TIMEOUT:
        why = f"expected {least} to {LONGEST_TIMEOUT} seconds"
        raise EncodingError(f"the field '{name}' of the method call is wrong", why=why)
    return value
