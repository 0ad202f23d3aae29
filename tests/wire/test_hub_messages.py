"""The line of `leafward messages --json`."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.wire.hub_messages import shown, shown_body


@dataclass
class Kept:
    """A message as the hub keeps it."""

    device_id: str = "leaf1"
    module_id: str | None = None
    output: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    enqueued: datetime = datetime(2030, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)


def test_every_field() -> None:
    """Names and shapes are a contract."""
    message = Kept("gw", "m", "out", {"a": "b"}, {"contentType": "application/json"}, b'{"t": 21.5}')
    assert shown(message) == {
        "device_id": "gw",
        "module_id": "m",
        "output": "out",
        "properties": {"a": "b"},
        "system": {"contentType": "application/json"},
        "body": {"t": 21.5},
        "encoding": "json",
        "enqueued": "2030-01-02T03:04:05.600000Z",
    }


def test_time_is_utc() -> None:
    """A time of another zone is shown in UTC."""
    there = datetime(2030, 1, 2, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    assert shown(Kept(enqueued=there))["enqueued"] == "2030-01-02T01:00:00Z"


@pytest.mark.parametrize(
    ("body", "system", "expected"),
    [
        (b'{"t": 1}', {}, ({"t": 1}, "json")),
        (b"[1, null]", {}, ([1, None], "json")),
        (b"null", {}, (None, "json")),
        (b'{"t": 1}', {"contentType": "application/json; charset=utf-8"}, ({"t": 1}, "json")),
        (b'{"t": 1}', {"contentType": "application/cloudevents+json"}, ({"t": 1}, "json")),
        (b'{"t": 1}', {"contentType": "text/plain"}, ('{"t": 1}', "text")),
        (b'{"t": 1}', {"contentEncoding": "utf-16"}, ('{"t": 1}', "text")),
        (b"hello", {}, ("hello", "text")),
        (b"", {}, ("", "text")),
        ("größe".encode(), {}, ("größe", "text")),
        (b'{"t": NaN}', {}, ('{"t": NaN}', "text")),
        (b'{"t": 1e999}', {}, ('{"t": 1e999}', "text")),
        (b'"\\ud800"', {}, ('"\\ud800"', "text")),
        (b'"\\uD83D\\uDE00"', {}, ("😀", "json")),
        (b"\xff\xfe", {}, ("//4=", "base64")),
        (b"\xff", {"contentType": "application/json"}, ("/w==", "base64")),
    ],
)
def test_bodies(body: bytes, system: dict[str, str], expected: tuple[Any, str]) -> None:
    """JSON where it is and may be, else text, else base64."""
    assert shown_body(body, system) == expected


def test_numbers_of_any_length_are_shown() -> None:
    """Longer than Python reads -> text."""
    digits = b"9" * 10_000
    assert shown_body(digits, {}) == (digits.decode(), "text")


@given(st.binary(max_size=100) | st.text(max_size=50).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_body_makes_a_line(body: bytes) -> None:
    """Whatever a device sends, the line is JSON that reads back."""
    line = json.dumps(shown(Kept(body=body)), allow_nan=False, ensure_ascii=False)
    line.encode("utf-8")
    assert "\n" not in line
    assert json.loads(line)["device_id"] == "leaf1"
