"""Server-sent events (WHATWG HTML 9.2): how a server tells what has changed, on one answer that does not end.

    id: 7
    event: certificate
    data: {"at":"2026-06-01T12:00:00Z","facts":{"name":"hub_server"}}
    <empty line>

Both ends are here. `encode` writes one event, `Decoder` reads them from pieces of any size. A line that begins with a
colon is a comment; one is sent now and then, so that a peer that has gone is noticed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leafward.errors import ProtocolError
from leafward.wire.api_fields import Fields, moment, to_json

CONTENT_TYPE = "text/event-stream"
PATH = "/events"  # of both of the manager's APIs
RECENT = "recent"  # query: begin with the events of before, as many as are kept
FOLLOW = "follow"  # query: "false" ends the answer after those

COMMENT = b": here\n\n"
# Bytes; more without the end of an event is no stream of ours.
LONGEST_EVENT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: what kind, when (aware UTC), and JSON values about it. `number` counts from 1."""

    number: int
    kind: str
    at: datetime
    facts: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """As one JSON object."""
        return {"number": self.number, "kind": self.kind, "at": moment(self.at), "facts": dict(self.facts)}


def encode(event: Event) -> bytes:
    """One event. JSON on one line holds no line end, so one `data` line is enough."""
    data = to_json({"at": moment(event.at), "facts": dict(event.facts)}).decode("ascii")
    return f"id: {event.number}\nevent: {event.kind}\ndata: {data}\n\n".encode("ascii")


class Decoder:
    """`receive` bytes, get events. Raises `ProtocolError` for what is no stream of events, and is of no use then."""

    def __init__(self) -> None:
        self._text = b""

    def receive(self, data: bytes) -> list[Event]:
        """The events that are whole with `data`."""
        self._text += data
        *whole, self._text = self._text.replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._text) > LONGEST_EVENT:
            raise ProtocolError("an event has no end", why=f"got more than {LONGEST_EVENT} bytes")
        return [event for block in whole for event in _event(block)]


def _event(block: bytes) -> Iterator[Event]:
    """The event in a block of lines; none where it holds comments only."""
    try:
        fields = dict(_fields(block.decode("utf-8")))
    except UnicodeDecodeError:
        raise ProtocolError("an event cannot be read", why="expected UTF-8") from None
    if "data" not in fields:
        return
    number, body = fields.get("id", "0"), Fields.parse(fields["data"].encode(), "event", limit=LONGEST_EVENT)
    yield Event(
        number=int(number) if number.isascii() and number.isdigit() else 0,
        kind=fields.get("event", "message"),
        at=body.time("at"),
        facts=dict(body.object("facts").values),
    )


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if name:
            yield name, value.removeprefix(" ") if colon else ""
