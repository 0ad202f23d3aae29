"""`leafward device snippet`: what connects a device, ready to paste."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.cli.snippets.leaf import Leaf
    from leafward.store.registry import Identity

# As in `cli/snippets/kinds.py`, which is not loaded for --help.
KINDS = ("python", "node", "c", "csharp", "java", "arduino", "mosquitto", "openssl", "curl")
MOST_HOURS = 24 * 366


@click.command("snippet")
@device_argument
@click.option("--for", "kind", type=click.Choice(KINDS), required=True, help="The language or the tool.")
@click.option("--show-secret", is_flag=True, help="With the device's key in it; without, a note stands in its place.")
@click.option(
    "--hours",
    type=click.IntRange(1, MOST_HOURS),
    default=24,
    show_default=True,
    help="How long the token of a command line holds.",
)
@home_option
@json_option
def command(*, device_id: str, kind: str, show_secret: bool, hours: int, home: Home, as_json: bool) -> None:
    """A small program, or a command line, that connects the device as it is registered and sends one message.

    \b
    Examples:
      leafward device snippet pump-7 --for python --show-secret > pump.py
      leafward device snippet pump-7 --for openssl --show-secret | sh
    """
    from leafward.cli.snippets.kinds import SDK_PORT, SDKS, write
    from leafward.cli.snippets.leaf import is_address

    leaf, identity = _leaf(home, device_id, show_secret=show_secret, hours=hours)
    code = write(kind, leaf)
    if as_json:
        facts = {"device_id": device_id, "auth": identity.auth, "for": kind, "secret_shown": show_secret}
        voice.say_json({**facts, "code": code})
    else:
        voice.say(code.rstrip("\n"))
    if kind in SDKS and leaf.mqtt_port != SDK_PORT:
        voice.warn(f"Azure's clients connect to port {SDK_PORT} and no other, and the hub listens on {leaf.mqtt_port}")
    if kind == "arduino" and is_address(leaf.gateway):
        voice.warn("mbedTLS before 3.5, on most boards, compares no addresses: give the gateway a name")
    if identity.auth == "sas" and not show_secret:
        voice.warn("the key is left out: --show-secret puts it in")


def _leaf(home: Home, device_id: str, *, show_secret: bool, hours: int) -> "tuple[Leaf, Identity]":
    """Raises `NotFound` for a device that is not registered, and before the first start."""
    from leafward import disk
    from leafward.cli.edge import gateway_name, require_root
    from leafward.cli.snippets.leaf import Leaf
    from leafward.provisioning.devices import find_device
    from leafward.store.registry import Registry

    root = require_root(home)
    with Registry.open(home.registry) as registry:
        identity = find_device(registry, device_id)
    mqtt_port, https_port = _ports(home)
    certificate, private_key = _files(home, identity)
    leaf = Leaf(
        device_id=identity.device_id,
        gateway=gateway_name(home),
        mqtt_port=mqtt_port,
        https_port=https_port,
        root=root,
        root_pem=disk.read_file(root).decode("ascii", "replace"),
        certificate=certificate,
        private_key=private_key,
        key=identity.primary_key if show_secret else None,
        show_files=show_secret,
        token_hours=hours,
    )
    return leaf, identity


def _ports(home: Home) -> tuple[int, int]:
    """Of the edge that runs on this home, else where it usually listens."""
    from leafward.cli.edge import running
    from leafward.errors import PeerUnavailable

    try:
        ready = running(home)
    except PeerUnavailable:
        return 8883, 443
    return int(ready["mqtts"]["port"]), int(ready["https"]["port"])


def _files(home: Home, identity: "Identity") -> tuple[Path | None, Path | None]:
    """The certificate and key that were made here; a device that brought its own knows where they are."""
    from leafward.cli.credentials import credential_files

    if identity.auth == "sas":
        return None, None
    files = credential_files(home, identity.device_id)
    if files.certificate.exists():
        return files.certificate, files.private_key
    return Path("/path/to/certificate.pem"), Path("/path/to/key.pem")
