"""The registry's side of a leaf device: registered, listed, disabled, removed.

What a device needs to connect is made by the caller (`leafward device add`): the registry keeps only what the hub has
to know, which is the symmetric keys, or nothing but the name, or the thumbprint.
"""

import secrets
from datetime import datetime

from leafward.errors import AlreadyExists, InputError, NotFound
from leafward.pki.names import parse_device_id
from leafward.store.registry import AuthType, Identity, Registry

# IoT Hub's own keys are 32 or 64 bytes; 32 is the strength of the HMAC-SHA256 they are used in.
KEY_SIZE = 32


def add_device(
    registry: Registry,
    device_id: str,
    auth: AuthType,
    *,
    now: datetime,
    thumbprint: str | None = None,
    parent: str | None = None,
    key: bytes | None = None,
) -> Identity:
    """Registers a leaf device and returns its identity. `thumbprint` is hexadecimal SHA-256 (or SHA-1); `parent` is
    the child gateway that it is behind; `key` its symmetric key (16 to 64 bytes), where it has one already.

    Raises `AlreadyExists`, with nothing changed, for an id in use; `NameFormatError` for one that is no device id.
    """
    identity = Identity(
        device_id=parse_device_id(device_id),
        module_id=None,
        auth=auth,
        enabled=True,
        generation_id=secrets.token_hex(9),
        primary_key=(key or secrets.token_bytes(KEY_SIZE)) if auth == "sas" else None,
        secondary_key=secrets.token_bytes(KEY_SIZE) if auth == "sas" else None,
        primary_thumbprint=thumbprint,
        secondary_thumbprint=None,
        created=now,
        parent=parent,
    )
    registry.add(identity)
    return identity


def fresh_key() -> bytes:
    """A symmetric key that nobody has."""
    return secrets.token_bytes(KEY_SIZE)


def refuse_known_device(registry: Registry, device_id: str, gateway_id: str) -> None:
    """Raises `AlreadyExists` before any key is made for an id in use, the gateway's own among them."""
    if device_id.lower() == gateway_id.lower():
        raise AlreadyExists(f"{gateway_id!r} is the gateway's own id", hint="choose another id")
    if registry.get(parse_device_id(device_id)) is not None:
        raise AlreadyExists(f"a device {device_id!r} exists", hint=f"leafward device show {device_id}")


def move_device(registry: Registry, device_id: str, parent: str | None) -> None:
    """Puts a device behind another child gateway, or with None behind none.

    Raises `NotFound`, and `InputError` where the gateway would be behind itself. A gateway that is not registered yet
    is taken, as `add_device` takes it.
    """
    find_device(registry, device_id)
    above, seen = parent, {device_id.lower()}
    while above is not None:
        if above.lower() in seen:
            what = f"{parent!r} cannot be above {device_id!r}"
            raise InputError(what, why=f"{above!r} would be behind itself", hint="move that gateway first")
        seen.add(above.lower())
        found = registry.get(above)
        above = None if found is None else found.parent
    registry.set_parent(device_id, parent)


def find_device(registry: Registry, device_id: str) -> Identity:
    """The identity of a leaf device. Raises `NotFound`."""
    identity = registry.get(device_id)
    if identity is None:
        raise NotFound(f"no device {device_id!r}", hint="leafward device list")
    return identity
