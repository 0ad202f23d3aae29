"""What the commands for leaf devices share: the argument that names one, and what may be shown of it."""

from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import checked_by
from leafward.store.home import Home

device_argument = click.argument("device_id", metavar="ID", callback=checked_by("parse_device_id"))


def facts_of(identity: Any) -> dict[str, Any]:
    """What may be shown of an identity: no key."""
    return {
        "device_id": identity.device_id,
        "auth": identity.auth,
        "enabled": identity.enabled,
        "primary_thumbprint": identity.primary_thumbprint,
        "secondary_thumbprint": identity.secondary_thumbprint,
        "parent": identity.parent,
        "created": identity.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def set_enabled(home: Home, device_id: str, *, enabled: bool) -> None:
    """Lets a device connect, or not any more. Raises `NotFound`."""
    from leafward.cli.edge import require_root
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        registry.set_enabled(device_id, None, enabled)
    voice.say(f"{'enabled' if enabled else 'disabled'} {device_id}")
