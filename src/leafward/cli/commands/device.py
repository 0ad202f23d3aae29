"""`leafward device`: the leaf devices of this gateway."""

import re
from pathlib import Path
from typing import Any, cast

import click

from leafward.cli import voice
from leafward.cli.options import checked_by, home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.store.home import Home

AUTH_TYPES = ("sas", "x509-ca", "x509-thumbprint")


def _thumbprint(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"([0-9A-Fa-f]{2}:?){20}|([0-9A-Fa-f]{2}:?){32}", value):
        raise UsageError(f"{value!r} is no thumbprint", hint="give the certificate's SHA-256 as 64 hexadecimal digits")
    return value


device_argument = click.argument("device_id", metavar="ID", callback=checked_by("parse_device_id"))


@click.group("device")
def command() -> None:
    """Leaf devices: add, list, show, enable, disable, remove.

    \b
    Examples:
      leafward device add pump-7                      a connection string
      leafward device add pump-8 --auth x509-ca       a certificate from this gateway's device CA
      leafward device disable pump-7                  cut off at once, live connections included
    """


@command.command()
@device_argument
@click.option("--auth", type=click.Choice(AUTH_TYPES), default="sas", show_default=True, help="How it proves itself.")
@click.option(
    "--thumbprint",
    metavar="HEX",
    callback=_thumbprint,
    help="x509-thumbprint: of a certificate that the device already has.",
)
@home_option
@json_option
def add(device_id: str, auth: str, thumbprint: str | None, home: Home, as_json: bool) -> None:
    """Registers a leaf device and prints what it needs to connect."""
    from leafward.cli.credentials import connection_string
    from leafward.cli.edge import edge_device_id, gateway_name, require_root
    from leafward.provisioning.devices import add_device, refuse_known_device
    from leafward.store.registry import AuthType, Registry

    if thumbprint is not None and auth != "x509-thumbprint":
        raise UsageError("--thumbprint is for --auth x509-thumbprint", hint="leafward device add --help")
    root = require_root(home)
    with Registry.open(home.registry) as registry:
        refuse_known_device(registry, device_id, edge_device_id(home))
        files, thumbprint = (None, thumbprint) if thumbprint else _make_files(home, device_id, auth)
        identity = add_device(registry, device_id, cast("AuthType", auth), now=system_clock(), thumbprint=thumbprint)
    gateway = gateway_name(home)
    facts = {
        "device_id": device_id,
        "auth": auth,
        "connection_string": connection_string(identity, gateway),
        "certificate": str(files[0]) if files else None,
        "private_key": str(files[1]) if files else None,
        "root": str(root),
        "gateway_hostname": gateway,
    }
    _show_added(facts, as_json)


def _make_files(home: Home, device_id: str, auth: str) -> tuple[tuple[Path, Path] | None, str | None]:
    """The certificate and key of an X.509 device, and its thumbprint where that is what the registry keeps."""
    from leafward.cli import credentials

    if auth == "sas":
        return None, None
    make = credentials.certified_by_device_ca if auth == "x509-ca" else credentials.self_signed
    made = make(home, device_id, now=system_clock())
    return (made.certificate, made.private_key), made.thumbprint


def _show_added(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        voice.say_json(facts)
        return
    if facts["connection_string"]:
        voice.say(facts["connection_string"])
    elif facts["certificate"]:
        voice.say(f"certificate  {facts['certificate']}")
        voice.say(f"private key  {facts['private_key']}")
    voice.say(f"root         {facts['root']}")
    voice.say(f"gateway      {facts['gateway_hostname']}")


@command.command("list")
@home_option
@json_option
def list_devices(home: Home, as_json: bool) -> None:
    """The leaf devices that are registered."""
    from leafward.cli.edge import require_root
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        found = [_facts(identity) for identity in registry.devices()]
    if as_json:
        voice.say_json(cast("list[object]", found))
        return
    width = max((len(str(facts["device_id"])) for facts in found), default=0)
    for facts in found:
        state = "enabled" if facts["enabled"] else "disabled"
        voice.say(f"{facts['device_id']:<{width}}  {facts['auth']:<15}  {state}")
    if not found:
        voice.hint("no device yet: leafward device add ID")


@command.command()
@device_argument
@click.option("--secrets", is_flag=True, help="Show the connection string too.")
@home_option
@json_option
def show(device_id: str, secrets: bool, home: Home, as_json: bool) -> None:
    """One leaf device."""
    from leafward.cli.credentials import connection_string
    from leafward.cli.edge import gateway_name, require_root
    from leafward.provisioning.devices import find_device
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        identity = find_device(registry, device_id)
    facts = _facts(identity)
    if secrets:
        facts["connection_string"] = connection_string(identity, gateway_name(home))
    if as_json:
        voice.say_json(facts)
        return
    for key, value in facts.items():
        voice.say(f"{key.replace('_', ' '):<19}  {value if value is not None else '-'}")


@command.command()
@device_argument
@home_option
def enable(device_id: str, home: Home) -> None:
    """Lets a disabled device connect again."""
    _set_enabled(home, device_id, enabled=True)


@command.command()
@device_argument
@home_option
def disable(device_id: str, home: Home) -> None:
    """Refuses a device from now on; its live connection is cut within a second."""
    _set_enabled(home, device_id, enabled=False)


@command.command()
@device_argument
@yes_option
@home_option
def remove(device_id: str, yes: bool, home: Home) -> None:
    """Removes a device from the registry, with the certificate and key that were made for it here."""
    from leafward.cli.credentials import forget
    from leafward.cli.edge import require_root
    from leafward.provisioning.devices import find_device
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        find_device(registry, device_id)
        if not yes:
            voice.agree(f"Remove the device {device_id!r} and its credentials?")
        registry.remove(device_id)
    forget(home, device_id)
    voice.say(f"removed {device_id}")


def _set_enabled(home: Home, device_id: str, *, enabled: bool) -> None:
    from leafward.cli.edge import require_root
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        registry.set_enabled(device_id, None, enabled)
    voice.say(f"{'enabled' if enabled else 'disabled'} {device_id}")


def _facts(identity: Any) -> dict[str, Any]:
    """What may be shown of an identity: no key."""
    return {
        "device_id": identity.device_id,
        "auth": identity.auth,
        "enabled": identity.enabled,
        "primary_thumbprint": identity.primary_thumbprint,
        "secondary_thumbprint": identity.secondary_thumbprint,
        "created": identity.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
