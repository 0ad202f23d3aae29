"""The bodies of the HTTP APIs: a JSON object read field by field, each with its type, and written back.

Requests come from SDKs of many ages: fields that nobody knows are left alone, a field of the wrong type is an error
that names it. No Content-Type is asked for, the Python SDK sends none.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from leafward.errors import EncodingError
from leafward.wire.base64_text import decode_base64
from leafward.wire.json_value import read_json


class Fields:
    """A JSON object. Every reader raises `EncodingError` that names the field and never repeats its value."""

    __slots__ = ("_what", "values")

    def __init__(self, values: Mapping[str, Any], what: str) -> None:
        self.values = values
        self._what = what

    @classmethod
    def parse(cls, data: bytes, what: str, *, limit: int) -> "Fields":
        """Reads at most `limit` bytes of JSON. An empty body is an empty object: optional bodies are left out whole."""
        if len(data) > limit:
            raise EncodingError(f"the {what} is too large", why=f"got {len(data)} bytes, at most {limit} are taken")
        value = read_json(data, what) if data.strip() else {}
        if not isinstance(value, dict):
            raise EncodingError(f"the {what} is malformed", why="expected a JSON object")
        return cls(value, what)

    def text(self, name: str, default: str | None = None) -> str:
        """A string that must be there, unless there is a `default`."""
        value = self.optional_text(name)
        if value is None:
            if default is None:
                raise self._wrong(name, "it is missing")
            return default
        return value

    def optional_text(self, name: str) -> str | None:
        """A string; None where it is missing or null."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "expected a string")
        return value

    def binary(self, name: str) -> bytes:
        """Base64 that must be there."""
        return decode_base64(self.text(name), f"field '{name}' of the {self._what}")

    def time(self, name: str) -> datetime:
        """A moment that must be there, as `optional_time`."""
        value = self.optional_time(name)
        if value is None:
            raise self._wrong(name, "it is missing")
        return value

    def optional_time(self, name: str) -> datetime | None:
        """An ISO 8601 moment with its offset from UTC, returned in UTC; None where it is missing or null."""
        text = self.optional_text(name)
        if text is None:
            return None
        try:
            value = datetime.fromisoformat(text)
            if value.tzinfo is None:
                raise self._wrong(name, "expected a time with its zone, such as 2030-01-31T12:00:00Z")
            return value.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self._wrong(name, "expected a time such as 2030-01-31T12:00:00Z") from None

    def object(self, name: str) -> "Fields":
        """An object inside; empty where it is missing or null."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, "expected an object")
        return Fields(value or {}, f"{self._what}, '{name}'")

    def objects(self, name: str) -> list["Fields"]:
        """A list of objects; empty where it is missing or null."""
        value = self.values.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
            raise self._wrong(name, "expected a list of objects")
        return [Fields(item, f"{self._what}, '{name}'") for item in value or ()]

    def texts(self) -> dict[str, str]:
        """All fields of this object, which must be strings."""
        return {name: self.text(name) for name in self.values}

    def _wrong(self, name: str, why: str) -> EncodingError:
        return EncodingError(f"the field '{name}' of the {self._what} is wrong", why=why)


def to_json(values: Mapping[str, Any]) -> bytes:
    """One JSON object, without blanks."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False).encode("ascii")


def error_body(message: str) -> bytes:
    """What a failed call answers in the workload and management APIs: {"message": …}."""
    return to_json({"message": message})


def error_message(data: bytes) -> str:
    """The message of an error body, for the calling side; a body of another form is shown as it is, shortened."""
    try:
        return Fields.parse(data, "error", limit=64 * 1024).text("message")
    except EncodingError:
        return data[:200].decode("utf-8", "replace")


def moment(time: datetime) -> str:
    """RFC 3339 in UTC, to the second, as the security daemon writes it."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
