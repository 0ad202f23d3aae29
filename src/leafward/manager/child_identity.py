"""The identity by which a child gateway's hub will connect to this one's: the child's device and its `$edgeHub`.

CHILD             a device of this gateway's registry
CHILD/$edgeHub    its module; the connection string of this one is what the child is given
"""

import secrets
from datetime import datetime
from pathlib import Path

from leafward.errors import AlreadyExists
from leafward.manager.server_names import HUB
from leafward.pki.names import parse_device_id
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.wire.connection_string import ConnectionString

_KEY_SIZE = 32


def register_child(registry_path: Path, device_id: str, gateway: str, own_id: str, *, now: datetime) -> str:
    """Registers both; the connection string of the child's `$edgeHub` at `gateway`: a secret. `now` is aware UTC.

    A child whose two identities stand is given the same string again. Raises `AlreadyExists` for this gateway's own id
    (`own_id`) or one that a leaf device has, `NameFormatError` for one that is no device id.
    """
    if device_id.lower() == own_id.lower():
        raise AlreadyExists(f"{own_id!r} is this gateway's own id", hint="give the child's device.device_id")
    with Registry.open(registry_path) as registry:
        hub = registry.get(parse_device_id(device_id), HUB)
        if hub is None:
            # The module first: a device alone would look like a leaf device, and be refused the next time.
            hub = _identity(device_id, HUB, now)
            if registry.get(device_id) is not None:
                raise AlreadyExists(f"a device {device_id!r} exists", hint=f"leafward device show {device_id}")
            registry.add(hub)
        if registry.get(device_id) is None:
            registry.add(_identity(device_id, None, now))
    return ConnectionString(
        host_name=gateway,
        device_id=device_id,
        module_id=HUB,
        shared_access_key=hub.primary_key,
        gateway_host_name=gateway,
        x509=False,
    ).text()


def _identity(device_id: str, module_id: str | None, now: datetime) -> Identity:
    return Identity(
        device_id=device_id,
        module_id=module_id,
        auth="sas",
        enabled=True,
        generation_id=secrets.token_hex(9),
        primary_key=secrets.token_bytes(_KEY_SIZE),
        secondary_key=secrets.token_bytes(_KEY_SIZE),
        primary_thumbprint=None,
        secondary_thumbprint=None,
        created=now,
    )
