"""A message as a person writes it, to see which routes take it: a line of `leafward messages --json`, or less.

{"device_id": "pump-7", "body": {"t": 81}, "properties": {"level": "high"}}
{"device_id": "gateway-1", "module_id": "filter", "output": "out1"}
"""

import json
from dataclasses import dataclass, field
from typing import Self

from leafward.errors import EncodingError
from leafward.wire.api_fields import Fields
from leafward.wire.base64_text import decode_base64
from leafward.wire.routes import EVENTS, MESSAGE_TYPE

LIMIT = 1024 * 1024
_KNOWN = (
    "device_id",
    "module_id",
    "output",
    "properties",
    "system",
    "body",
    "encoding",
    "enqueued",
    "id",
    "event",
)


@dataclass(frozen=True, slots=True)
class RoutedMessage:
    """What routes look at."""

    device_id: str
    module_id: str | None
    output: str | None
    properties: dict[str, str]
    system: dict[str, str]
    body: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads JSON. `event` names one of the hub's own, such as "twinChangeNotifications". Raises `EncodingError`."""
        fields = Fields.parse(data, "message", limit=LIMIT)
        if unknown := [name for name in fields.values if name not in _KNOWN]:
            raise EncodingError(f"the message has no field {unknown[0]!r}", why=f"known are {', '.join(_KNOWN)}")
        system = fields.object("system").texts()
        if (event := fields.optional_text("event")) is not None:
            if event not in EVENTS.values():
                raise EncodingError(f"{event!r} is no event", why=f"expected one of {', '.join(EVENTS.values())}")
            system[MESSAGE_TYPE] = event
        return cls(
            fields.text("device_id", "leaf-device"),
            fields.optional_text("module_id"),
            fields.optional_text("output"),
            fields.object("properties").texts(),
            system,
            _body(fields),
        )


def _body(fields: Fields) -> bytes:
    value = fields.values.get("body", {})
    encoding = fields.text("encoding", "text" if isinstance(value, str) else "json")
    if encoding == "json":
        return json.dumps(value).encode()
    text = fields.text("body")
    if encoding not in ("text", "base64"):
        raise EncodingError(f"{encoding[:32]!r} is no encoding", why="expected json, text or base64")
    return decode_base64(text, "body of the message") if encoding == "base64" else text.encode()
