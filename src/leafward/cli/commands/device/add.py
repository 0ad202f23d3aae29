"""`leafward device add`: registers a leaf device, and makes or prints what it needs to connect."""

import re
from pathlib import Path
from typing import Any, cast

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument
from leafward.cli.options import checked_by, home_option, json_option
from leafward.cli.service import system_clock
from leafward.errors import SettingsError, UsageError
from leafward.store.home import Home

AUTH_TYPES = ("sas", "x509-ca", "x509-thumbprint")


def _thumbprint(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"([0-9A-Fa-f]{2}:?){20}|([0-9A-Fa-f]{2}:?){32}", value):
        raise UsageError(f"{value!r} is no thumbprint", hint="give the certificate's SHA-256 as 64 hexadecimal digits")
    return value


@click.command("add")
@device_argument
@click.option("--auth", type=click.Choice(AUTH_TYPES), default="sas", show_default=True, help="How it proves itself.")
@click.option(
    "--thumbprint",
    metavar="HEX",
    callback=_thumbprint,
    help="x509-thumbprint: of a certificate that the device already has.",
)
@click.option(
    "--parent",
    metavar="GATEWAY",
    callback=checked_by("parse_device_id"),
    help="The child gateway that the device is behind: that gateway's hub may connect on its behalf.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="sas: the key that the device already has, in base64, or its connection string; mode 0600.",
)
@home_option
@json_option
def command(
    *,
    device_id: str,
    auth: str,
    thumbprint: str | None,
    parent: str | None,
    key_file: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Registers a leaf device and prints what it needs to connect."""
    from leafward.cli.credentials import connection_string
    from leafward.cli.edge import edge_device_id, gateway_name, require_root
    from leafward.provisioning.devices import add_device, refuse_known_device
    from leafward.store.registry import AuthType, Registry

    if thumbprint is not None and auth != "x509-thumbprint":
        raise UsageError("--thumbprint is for --auth x509-thumbprint", hint="leafward device add --help")
    if key_file is not None and auth != "sas":
        raise UsageError("--key-file is for --auth sas", hint="leafward device add --help")
    key = None if key_file is None else _key_in(key_file, device_id)
    root = require_root(home)
    with Registry.open(home.registry) as registry:
        refuse_known_device(registry, device_id, edge_device_id(home))
        files, thumbprint = (None, thumbprint) if thumbprint else _make_files(home, device_id, auth)
        identity = add_device(
            registry,
            device_id,
            cast("AuthType", auth),
            now=system_clock(),
            thumbprint=thumbprint,
            parent=parent,
            key=key,
        )
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


def _key_in(path: Path, device_id: str) -> bytes:
    """The key of a device that is in the field already. Raises `KeyUnavailable` for a file that others may read."""
    from leafward.keys.private_file import read_private
    from leafward.wire.base64_text import decode_base64
    from leafward.wire.connection_string import ConnectionString

    text = read_private(path, "the device's key").decode("ascii", "replace").strip()
    if "=" not in text.rstrip("="):
        return decode_base64(text, "device's key")
    found = ConnectionString.parse(text)
    if found.device_id != device_id or found.shared_access_key is None:
        why = f"got that of {found.device_id!r}, expected {device_id!r} with its SharedAccessKey"
        raise SettingsError(f"the connection string in {path} is another's", why=why, hint="give the device's own")
    return found.shared_access_key


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
