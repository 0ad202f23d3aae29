"""Identities as lines of JSON, for export and import: one object a line, a device or one of its modules.

    {"device_id": "pump-7", "auth": "sas", "enabled": true, "primary_key": …, "secondary_key": …, "created": …}
    {"device_id": "pump-8", "auth": "x509-thumbprint", "primary_thumbprint": …, "parent": "line-3"}
    {"device_id": "edge-device", "module_id": "filter", "auth": "sas"}

What a line leaves out is made: a generation, the time, and the keys of one that signs with keys.
"""

import json
import secrets
from datetime import datetime
from typing import Any, cast

from leafward.errors import EncodingError, InputError
from leafward.pki.names import parse_device_id, parse_module_id
from leafward.provisioning.devices import fresh_key
from leafward.store.identity import AuthType, Identity
from leafward.wire.api_fields import Fields
from leafward.wire.base64_text import decode_base64, encode_base64

LONGEST_LINE = 8192
_KEYS = ("primary_key", "secondary_key")
_TEXTS = ("device_id", "module_id", "auth", "generation_id", "primary_thumbprint", "secondary_thumbprint", "parent")
_KNOWN = frozenset((*_TEXTS, *_KEYS, "enabled", "created"))


def write_line(identity: Identity, *, secrets_too: bool) -> str:
    """One identity, without a line end. Symmetric keys are in it with `secrets_too` only."""
    values: dict[str, Any] = {name: getattr(identity, name) for name in _TEXTS}
    values["enabled"] = identity.enabled
    values["created"] = identity.created.isoformat().replace("+00:00", "Z")
    if secrets_too:
        keys = {name: getattr(identity, name) for name in _KEYS}
        values |= {name: encode_base64(key) for name, key in keys.items() if key is not None}
    return json.dumps({name: value for name, value in values.items() if value is not None}, separators=(",", ":"))


def read_line(line: bytes, now: datetime) -> Identity:
    """The identity of a line. Raises `InputError` saying what is wrong, never repeating a key."""
    fields = Fields.parse(line, "line", limit=LONGEST_LINE)
    if unknown := fields.values.keys() - _KNOWN:
        raise EncodingError("the line has a field that is not known", why=f"got {', '.join(sorted(unknown))[:200]}")
    enabled = fields.values.get("enabled", True)
    if not isinstance(enabled, bool):
        raise EncodingError("the field 'enabled' of the line is wrong", why="expected true or false")
    auth = fields.text("auth", "sas")
    keys = [None if (text := fields.optional_text(name)) is None else decode_base64(text, name) for name in _KEYS]
    if auth == "sas" and keys == [None, None]:
        keys = [fresh_key(), fresh_key()]
    created, module_id = fields.optional_time("created"), fields.optional_text("module_id")
    return Identity(
        device_id=parse_device_id(fields.text("device_id")),
        module_id=None if module_id is None else parse_module_id(module_id),
        # What is none of them, `Identity` refuses.
        auth=cast("AuthType", auth),
        enabled=enabled,
        generation_id=fields.text("generation_id", "") or secrets.token_hex(9),
        primary_key=keys[0],
        secondary_key=keys[1],
        primary_thumbprint=fields.optional_text("primary_thumbprint"),
        secondary_thumbprint=fields.optional_text("secondary_thumbprint"),
        created=created or now,
        parent=fields.optional_text("parent"),
    )


def replaced(present: Identity, new: Identity) -> Identity:
    """The merge of an import that replaces: what identifies the registration stays the present one's."""
    if (present.device_id, present.module_id) != (new.device_id, new.module_id):
        raise InputError(f"{new.label} differs from {present.label} by case only")
    return Identity(
        **{
            **{name: getattr(new, name) for name in Identity.__dataclass_fields__},
            "generation_id": present.generation_id,
            "created": present.created,
        }
    )
