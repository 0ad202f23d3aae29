"""When each property of a twin was last written: IoT Hub's `$metadata`, kept in a fraction of the bytes.

A written value has a number, milliseconds since 1970; an object has an object with a number for each member, and its
own under the empty name, which no property can have. Services see it as IoT Hub writes it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

LAST_UPDATED = "$lastUpdated"
OWN = ""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# number | {"": number, name: Stamps}
Stamps = dict[str, Any]


def stamped(stamps: Mapping[str, Any], patch: Mapping[str, Any], at: datetime) -> Stamps:
    """`stamps` after `patch` was merged into the document (RFC 7396) at the moment `at`.

    >>> stamped({}, {"a": 1, "b": {"c": 2}}, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    {'': 1000, 'a': 1000, 'b': {'': 1000, 'c': 1000}}
    """
    return _stamped(stamps, patch, (at - _EPOCH) // _MILLISECOND)


def described(stamps: Mapping[str, Any]) -> dict[str, Any]:
    """As `$metadata`: `{"$lastUpdated": RFC 3339, name: {"$lastUpdated": …}}`; empty where nothing was ever written."""
    shown: dict[str, Any] = {}
    for name, below in stamps.items():
        if name == OWN:
            shown[LAST_UPDATED] = _moment(below)
        else:
            shown[name] = described(below) if isinstance(below, dict) else {LAST_UPDATED: _moment(below)}
    return shown


def _stamped(stamps: Mapping[str, Any], patch: Mapping[str, Any], at: int) -> Stamps:
    marked: Stamps = {**stamps, OWN: at}
    for name, value in patch.items():
        if value is None:
            marked.pop(name, None)
        elif isinstance(value, dict):
            below = stamps.get(name)
            marked[name] = _stamped(below if isinstance(below, dict) else {}, value, at)
        else:
            marked[name] = at
    return marked


def _moment(milliseconds: int) -> str:
    time = _EPOCH + milliseconds * _MILLISECOND
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
