"""Device and module twins: two JSON documents, desired and reported properties, and what a patch does to them.

The service writes the desired properties and the tags, the device the reported ones. A patch is merged member by
member and null removes one, as RFC 7396 says; IoT Hub's own bounds on size, depth and keys are kept, since a twin that
fits here and not there could not be moved.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from leafward.errors import InputError
from leafward.wire.json_value import Json, read_json
from leafward.wire.twin_stamps import Stamps, described, stamped

VERSION = "$version"
METADATA = "$metadata"
# IoT Hub's bounds: bytes of a document, levels of objects, bytes of a key and of a text, and whole numbers.
MAX_PROPERTIES = 32 * 1024
MAX_TAGS = 8 * 1024
MAX_DEPTH = 10
MAX_KEY = 1024
MAX_TEXT = 4096
MAX_INTEGER = 4503599627370496
# Members that we add ourselves; clients send them back in whole documents.
_OURS = frozenset({VERSION, METADATA})
# What IoT Hub tells of an identity in its twin; a whole twin is sent back with it.
_FACTS = frozenset(
    {
        "deviceId",
        "moduleId",
        "etag",
        "version",
        "deviceEtag",
        "status",
        "statusReason",
        "statusUpdateTime",
        "connectionState",
        "connectionStateUpdatedTime",
        "lastActivityTime",
        "cloudToDeviceMessageCount",
        "authenticationType",
        "x509Thumbprint",
        "modelId",
        "capabilities",
        "deviceScope",
        "parentScopes",
    }
)

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """One document and how often it was changed: 1 for an untouched one, as IoT Hub counts.

    `stamps` say when each property was written (`twin_stamps`).
    """

    values: Document = field(default_factory=dict)
    version: int = 1
    stamps: Stamps = field(default_factory=dict)

    def document(self) -> Document:
        """As clients see it. `$version` always stands in it: the SDKs fail without."""
        return {**self.values, VERSION: self.version}

    def for_service(self) -> Document:
        """As services see it: with `$metadata` too."""
        return {**self.values, METADATA: described(self.stamps), VERSION: self.version}

    def patched(self, patch: Mapping[str, Any], at: datetime, *, limit: int = MAX_PROPERTIES) -> "Section":
        """With `patch` merged in at the moment `at`. Raises `InputError` for a result of more than `limit` bytes."""
        return self._next(merge(self.values, patch), stamped(self.stamps, patch, at), limit)

    def replaced(self, values: Mapping[str, Any], at: datetime, *, limit: int = MAX_PROPERTIES) -> "Section":
        """With other values altogether. Raises `InputError` where they are larger than `limit` bytes."""
        return self._next(merge({}, values), stamped({}, values, at), limit)

    def _next(self, values: Document, stamps: Stamps, limit: int) -> "Section":
        size = len(json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode())
        if size > limit:
            raise InputError("the twin is too large", why=f"got {size} bytes, at most {limit} are kept")
        return Section(values, self.version + 1, stamps)


@dataclass(frozen=True, slots=True)
class Twin:
    """The twin of one device or module. `tags` are the service's own, no device sees them.

    `etag` counts the service's changes: a device that reports every second does not void what a service has read.
    `version` counts them all.
    """

    desired: Section = Section()
    reported: Section = Section()
    tags: Document = field(default_factory=dict)
    etag: int = 1
    version: int = 1

    def for_device(self) -> Document:
        """What a device or module gets: both documents."""
        return {"desired": self.desired.document(), "reported": self.reported.document()}

    def for_service(self, device_id: str, module_id: str | None) -> Document:
        """What an operator or a service gets (IoT Hub's REST form)."""
        names: Document = {"deviceId": device_id}
        if module_id is not None:
            names["moduleId"] = module_id
        return {
            **names,
            "etag": str(self.etag),
            "version": self.version,
            "tags": self.tags,
            "properties": {"desired": self.desired.for_service(), "reported": self.reported.for_service()},
        }

    def reporting(self, patch: Mapping[str, Any], at: datetime) -> "Twin":
        """After its device reported `patch`. Raises `InputError` for what becomes too large."""
        return replace(self, reported=self.reported.patched(patch, at), version=self.version + 1)


@dataclass(frozen=True, slots=True)
class ServicePatch:
    """What a service wants changed: None leaves as it is. `whole` replaces instead of merging."""

    desired: Document | None = None
    tags: Document | None = None
    whole: bool = False

    def applied(self, twin: Twin, at: datetime) -> Twin:
        """The twin after it. Raises `InputError` for what becomes too large."""
        desired, tags = twin.desired, twin.tags
        if self.desired is not None or self.whole:
            wanted = self.desired or {}
            desired = desired.replaced(wanted, at) if self.whole else desired.patched(wanted, at)
        if self.tags is not None or self.whole:
            kept = Section(tags)
            tags = (kept.replaced if self.whole else kept.patched)(self.tags or {}, at, limit=MAX_TAGS).values
        return replace(twin, desired=desired, tags=tags, etag=twin.etag + 1, version=twin.version + 1)

    def told(self, before: Twin, after: Twin) -> Document | None:
        """What the device is told: the patch that takes it from `before` to `after`; None where nothing is its."""
        if before.desired.version == after.desired.version:
            return None
        whole = self.whole or self.desired is None
        patch = difference(before.desired.values, after.desired.values) if whole else self.desired
        return {**(patch or {}), VERSION: after.desired.version}


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """`document` with `patch` merged in (RFC 7396): null removes a member, an object is merged, all else replaces.

    >>> merge({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}})
    {'b': {'c': 4, 'd': 3}}
    """
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Document:
    """The patch with which `merge` makes `after` of `before`.

    >>> difference({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4, "d": 3}})
    {'a': None, 'b': {'c': 4}}
    """
    patch: Document = dict.fromkeys(sorted(before.keys() - after.keys()))
    for key, value in after.items():
        was = before.get(key)
        if isinstance(was, dict) and isinstance(value, dict):
            if below := difference(was, value):
                patch[key] = below
        # As text: to Python 1, 1.0 and True are the same.
        elif key not in before or json.dumps(was, sort_keys=True) != json.dumps(value, sort_keys=True):
            patch[key] = value
    return patch


def parse_patch(data: bytes) -> Document:
    """The members of a patch or document, checked. Raises `InputError` for what is none.

    `$version` and `$metadata` at the top are what we sent ourselves, and are left out.
    """
    return checked_patch(read_json(data, "twin"))


def checked_patch(value: Json) -> Document:
    """`parse_patch` for a value that is read already."""
    if not isinstance(value, dict):
        raise InputError("the twin's properties are no object", hint='for example {"interval": 5}')
    patch = {key: member for key, member in value.items() if key not in _OURS}
    _check(patch, 1)
    return patch


def parse_service_patch(data: bytes, *, whole: bool = False) -> ServicePatch:
    """A service's `{"tags": …, "properties": {"desired": …}}`. Raises `InputError` for anything else in it."""
    value = read_json(data, "twin")
    if not isinstance(value, dict):
        raise InputError("the twin is no object", hint='for example {"properties": {"desired": {"interval": 5}}}')
    properties = value.get("properties", {})
    if not isinstance(properties, dict):
        raise InputError("the twin's properties are no object")
    # A whole twin as it was read comes back with what is not the service's to change: that is left as it is.
    unknown = value.keys() - {"tags", "properties"} - _FACTS
    if unknown or properties.keys() - {"desired", "reported"}:
        raise InputError("the twin holds what is not known", why=f"got {', '.join(sorted(unknown)) or 'properties'}")
    if not whole and "reported" in properties:
        raise InputError("the reported properties are the device's", hint="change tags and properties.desired")
    desired, tags = properties.get("desired"), value.get("tags")
    return ServicePatch(
        None if desired is None else checked_patch(desired), None if tags is None else checked_patch(tags), whole
    )


def parse_reported_patch(data: bytes) -> Document:
    """A device's own `{"properties": {"reported": …}}` over HTTPS. Raises `InputError` for anything else in it."""
    value = read_json(data, "twin")
    properties = value.get("properties") if isinstance(value, dict) and value.keys() == {"properties"} else None
    if not isinstance(properties, dict) or properties.keys() != {"reported"}:
        hint = 'expected {"properties": {"reported": {…}}}'
        raise InputError("a device changes its reported properties and nothing else", hint=hint)
    return checked_patch(properties["reported"])


def parse_etag(text: str | None) -> int | None:
    """The `If-Match` of a change: None for any. Raises `InputError` for one that is none of ours."""
    if text is None or text.strip() in ("*", '"*"'):
        return None
    digits = text.strip().removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise InputError("the ETag is none of ours", why=f"got {text[:64]!r}")
    return int(digits)


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH + 1:
        raise InputError("the twin is nested too deeply", why=f"at most {MAX_DEPTH} levels are kept")
    if isinstance(value, dict):
        for key, member in value.items():
            _check_key(key)
            _check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth + 1)
    elif isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise InputError("a text in the twin is too long", why=f"at most {MAX_TEXT} bytes are kept")
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_INTEGER:
        raise InputError("a number in the twin is too large", why=f"at most {MAX_INTEGER} is kept")


def _check_key(key: str) -> None:
    if not key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY:
        raise InputError("a key in the twin is too long or empty", why=f"at most {MAX_KEY} bytes are kept")
    if any(letter in ".$# " or not letter.isprintable() for letter in key):
        raise InputError(f"{key[:64]!r} is no key of a twin", why="it holds '.', '$', '#', a space or a control")
