"""How a message of the hub is shown: the line of `leafward messages --json`.

A pure function of the message, so that the command, the page and the tests show the same.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias

from leafward.errors import EncodingError
from leafward.wire.base64_text import encode_base64
from leafward.wire.json_value import Json, read_body

BodyEncoding: TypeAlias = Literal["json", "text", "base64"]


class HubMessage(Protocol):
    """A message as the hub keeps it."""

    @property
    def device_id(self) -> str: ...
    @property
    def module_id(self) -> str | None: ...
    @property
    def output(self) -> str | None: ...
    @property
    def properties(self) -> Mapping[str, str]: ...
    @property
    def system(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def enqueued(self) -> datetime: ...


def shown(message: HubMessage) -> dict[str, Any]:
    """The fields of one line, ready for `json.dumps`; `enqueued` in RFC 3339, UTC."""
    body, encoding = shown_body(message.body, message.system)
    return {
        "device_id": message.device_id,
        "module_id": message.module_id,
        "output": message.output,
        "properties": dict(message.properties),
        "system": dict(message.system),
        "body": body,
        "encoding": encoding,
        "enqueued": message.enqueued.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def shown_body(body: bytes, system: Mapping[str, str]) -> tuple[Json, BodyEncoding]:
    """The body as JSON if it is JSON and does not claim to be something else, as text if it is UTF-8, else base64.

    >>> shown_body(b'{"t": 21}', {}), shown_body(b"hello", {}), shown_body(bytes([255]), {})
    (({'t': 21}, 'json'), ('hello', 'text'), ('/w==', 'base64'))
    """
    try:
        return read_body(body, system), "json"
    except EncodingError:
        pass
    try:
        return body.decode("utf-8"), "text"
    except UnicodeDecodeError:
        return encode_base64(body), "base64"
