"""`leafward manager child`: the device CA of a gateway behind this one, as files for a stick."""

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_options import days_option, default_folder, key_option, out_option
from leafward.cli.options import home_option, json_option
from leafward.errors import AccessDenied, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.manager.child_delivery import Delivered, Wanted

UPSTREAM = "upstream-connection-string"


@click.command("child")
@click.argument("name", required=False)
@click.option(
    "--csr",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The child's own request: its key stays with it. Without one, a key is made beside the certificate.",
)
@out_option
@click.option(
    "--gateways-below",
    type=click.IntRange(0, 8),
    default=0,
    show_default=True,
    help="How many further gateways are to hang one below another under the child.",
)
@click.option("--permit-dns", metavar="NAME", multiple=True, help="A narrower fence: this name and all below it.")
@click.option("--permit-ip", metavar="NETWORK", multiple=True, help="A narrower fence: the addresses of this network.")
@click.option("--register", metavar="DEVICE_ID", help="Also register the child's hub here, for its way upstream.")
@click.option("--replace", "replacing", is_flag=True, help="In place of the living child of that name.")
@click.option("--list", "listing", is_flag=True, help="Show the children there are and were, and sign nothing.")
@key_option
@days_option
@home_option
@json_option
def command(name: str | None, *, home: Home, listing: bool, out: Path | None, as_json: bool, **asked: Any) -> None:
    """Signs the device CA of a child gateway, called NAME (never the child's hostname).

    Writes its chain, leaf first, and the trust bundle into a folder, to be carried to the child. Run it as the user
    that runs the manager. The maker must have left room: this gateway's device CA needs a path length of 2 or more.

    \b
    Examples:
      leafward manager child line-3.ca --csr line-3.csr --out /media/stick/line-3
      leafward manager child line-3.ca --out /media/stick/line-3 --register line-3
      leafward manager child --list
    """
    if listing:
        _list(home, as_json)
        return
    if name is None:
        raise UsageError("the child has no name", hint="leafward manager child NAME, or --list")
    _refuse_other_users(home)
    _sign(home, name, out or default_folder(name), as_json=as_json, **asked)


def _sign(home: Home, name: str, folder: Path, *, register: str | None, as_json: bool, **asked: Any) -> None:
    from leafward import disk
    from leafward.cli.service import system_clock
    from leafward.manager.child_delivery import deliver_child
    from leafward.manager.child_identity import register_child
    from leafward.manager.device_ca_source import DeviceCaSource
    from leafward.manager.settings import read_settings
    from leafward.manager.start import LAST_SEEN
    from leafward.manager.time_floor import TimeFloor
    from leafward.manager.trust_bundle import trust_bundle

    settings, time = read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, system_clock)
    read = DeviceCaSource(home, settings, time).read(starting=True)
    anchors = trust_bundle(read.roots, read.device_ca.chain)
    delivered = deliver_child(home, read.device_ca, anchors, _wanted(name, **asked), folder, now=time.now())
    gateway = str(settings.hostname)
    upstream = None
    if register is not None:
        text = register_child(home.registry, register, gateway, settings.device.device_id, now=time.now())
        upstream = folder / UPSTREAM
        disk.write_file(upstream, f"{text}\n".encode(), mode=disk.PRIVATE)
    _show(name, delivered, gateway, upstream, as_json)


def _wanted(
    name: str,
    *,
    csr: Path | None,
    key: str,
    days: int | None,
    gateways_below: int,
    permit_dns: tuple[str, ...],
    permit_ip: tuple[str, ...],
    replacing: bool,
) -> "Wanted":
    from leafward import disk
    from leafward.manager.child import Fence
    from leafward.manager.child_delivery import Wanted
    from leafward.pki.constraints import parse_permitted_dns, parse_permitted_ip
    from leafward.pki.key_types import parse_key_type
    from leafward.pki.request import CertificateRequest

    return Wanted(
        name=name,
        public_key=None if csr is None else CertificateRequest.from_csr(disk.read_file(csr)).public_key,
        key_type=parse_key_type(key),
        gateways_below=gateways_below,
        lifetime=None if days is None else timedelta(days=days),
        fence=Fence(tuple(map(parse_permitted_dns, permit_dns)), tuple(map(parse_permitted_ip, permit_ip))),
        replacing=replacing,
    )


def _refuse_other_users(home: Home) -> None:
    """What root writes into the manager's folder the manager could not read."""
    try:
        owner = home.manager.stat().st_uid
    except OSError:
        return  # the device CA is missed in a moment, and told
    if owner != os.geteuid():
        raise AccessDenied(
            "this is for the manager's own user",
            why=f"{home.manager} belongs to user {owner}, got user {os.geteuid()}",
            hint=f"sudo -u '#{owner}' leafward manager child …",
        )


def _show(name: str, delivered: "Delivered", gateway: str, upstream: Path | None, as_json: bool) -> None:
    from leafward.cli.tree import draw_chain
    from leafward.pki.chain import fingerprint
    from leafward.pki.extension import serial_number

    leaf = delivered.chain.leaf
    files = {"certificate": delivered.certificate, "trust_bundle": delivered.trust_bundle, "private_key": delivered.key}
    if as_json:
        facts: dict[str, object] = {
            "name": name,
            "serial": f"{serial_number(leaf):x}",
            "sha256": fingerprint(leaf),
            "not_after": f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            "new": delivered.is_new,
            **{label: None if path is None else str(path) for label, path in files.items()},
            "upstream": None if upstream is None else str(upstream),
            "parent_hostname": gateway,
        }
        voice.say_json(facts)
        return
    if not delivered.is_new:
        voice.say("it was signed already; these are the same files again")
    for line in draw_chain(delivered.chain):
        voice.say(line)
    for path in (*files.values(), upstream):
        if path is not None:
            voice.say(str(path))
    voice.hint("on the child: certificate.pem (and key.pem, mode 0600) into HOME/manager/device-ca/")
    voice.hint(f'in its leafward.toml: [device] parent_hostname = "{gateway}", trust_bundle = "trust-bundle.pem"')


def _list(home: Home, as_json: bool) -> None:
    from leafward.cli.service import system_clock
    from leafward.manager.child_ledger import ChildLedger

    now = system_clock()
    children = ChildLedger(home.manager).all()
    if as_json:
        facts = [
            {**{key: value for key, value in vars(one).items() if key != "certificate"}, "living": one.lives(now)}
            for one in children
        ]
        voice.say_json(list[object](facts))
        return
    for one in children:
        state = "replaced" if one.replaced else "living" if one.lives(now) else "ended"
        voice.say(f"{one.name:<24}  {state:<8}  until {one.not_after[:10]}  {one.sha256[:16]}")
    if not children:
        voice.hint("no child gateway yet: leafward manager child NAME --csr FILE")
