"""`leafward ca`: the maker's authority."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from leafward.cli import voice
from leafward.cli.options import Command, home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.authorities import Authority
    from leafward.authority.issuance import Issuance
    from leafward.pki.chain import Chain

LEAF_KINDS = ("leaf_device", "device_identity", "verification")
DEVICE_CA_DAYS = 3650


@click.group("ca")
def command() -> None:
    """The maker's authority: root, intermediates, device CAs, leaf certificates.

    \b
    Examples:
      leafward ca init --cn "Example Root CA"
      leafward ca intermediate "Example Factory CA"
      leafward ca device pump-gateway-0001 --csr request.pem --out pump-gateway-0001/
      leafward ca list
    """


def key_option(function: Command) -> Command:
    """`--key`: the kind of a new key."""
    return click.option("--key", default="ec-p256", show_default=True, metavar="TYPE", help="Kind of the new key.")(
        function
    )


def days_option(function: Command) -> Command:
    """`--days`: the lifetime; the issuer's own end caps it."""
    return click.option("--days", type=click.IntRange(1), help="Lifetime; default: the profile's.")(function)


def issuer_option(function: Command) -> Command:
    """`--issuer`: which authority signs."""
    return click.option("--issuer", metavar="NAME", help="Which authority signs; default: the last of the chain.")(
        function
    )


@command.command()
@click.option("--cn", required=True, metavar="NAME", help="Common name of the root.")
@key_option
@days_option
@home_option
@json_option
def init(cn: str, key: str, days: int | None, home: Home, as_json: bool) -> None:
    """Makes a root CA."""
    from leafward.pki.key_types import parse_key_type

    made = _issuance(home).root(cn, parse_key_type(key), now=system_clock(), lifetime=_lifetime(days))
    _show_authority(made, as_json)


@command.command()
@click.argument("name")
@issuer_option
@click.option("--intermediates-below", type=click.IntRange(0, 8), default=0, show_default=True)
@key_option
@days_option
@home_option
@json_option
def intermediate(
    name: str,
    *,
    issuer: str | None,
    intermediates_below: int,
    key: str,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Makes an intermediate CA under a root or another intermediate."""
    from leafward.pki.key_types import parse_key_type

    issuance = _issuance(home)
    made = issuance.intermediate(
        name,
        parse_key_type(key),
        now=system_clock(),
        issuer=issuance.authorities.get(issuer) if issuer else None,
        intermediates_below=intermediates_below,
        lifetime=_lifetime(days),
    )
    _show_authority(made, as_json)


@command.command()
@click.argument("name")
@click.option("--csr", type=click.Path(path_type=Path), help="Request made on the device; else the key is made here.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the files; default: ./NAME")
@click.option("--install", is_flag=True, help="Make it this home's own device CA.")
@issuer_option
@key_option
@days_option
@home_option
@json_option
def device(
    name: str,
    *,
    csr: Path | None,
    out: Path | None,
    install: bool,
    issuer: str | None,
    key: str,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Issues a device CA, named NAME (never the gateway's hostname)."""
    from leafward.authority.issuance import refuse_hostname
    from leafward.cli.edge import kept_hostname

    if install:
        refuse_hostname(name, kept_hostname(home))
    folder = home.manager / "device-ca" if install else out or Path(name)
    _issue(
        home,
        "device_ca",
        name,
        csr=csr,
        folder=folder,
        issuer=issuer,
        key=key,
        days=days or DEVICE_CA_DAYS,
        as_json=as_json,
    )


@command.command()
@click.argument("name")
@click.option("--profile", "kind", type=click.Choice(LEAF_KINDS), default="leaf_device", show_default=True)
@click.option("--csr", type=click.Path(path_type=Path), help="Request made on the device; else the key is made here.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the files; default: ./NAME")
@issuer_option
@key_option
@days_option
@home_option
@json_option
def leaf(
    name: str,
    *,
    kind: str,
    csr: Path | None,
    out: Path | None,
    issuer: str | None,
    key: str,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Issues an end-entity certificate: of a leaf device, a device's identity, or to prove a CA."""
    _issue(home, kind, name, csr=csr, folder=out or Path(name), issuer=issuer, key=key, days=days, as_json=as_json)


@command.command("list")
@home_option
@json_option
def list_authorities(home: Home, as_json: bool) -> None:
    """The authorities, and what they issued."""
    from leafward.pki.summary import roles, summarise

    issuance = _issuance(home)
    found = [(authority.name, authority.chain) for authority in issuance.authorities]
    found += [("-", chain) for chain in issuance.issued()]
    rows = [(name, summarise(chain.leaf, roles(chain.certificates)[0])) for name, chain in found]
    if as_json:
        from dataclasses import asdict

        voice.say_json(cast("list[object]", [{"name": name, **asdict(summary)} for name, summary in rows]))
        return
    for name, summary in rows:
        voice.say(
            f"{summary.sha256[:16]}  {summary.role:<16}  {summary.not_after[:10]}  {name:<34}  {summary.common_name}"
        )
    if not rows:
        voice.hint('no authority yet: leafward ca init --cn "Example Root CA"')


@command.command()
@click.argument("name")
@home_option
@json_option
def show(name: str, home: Home, as_json: bool) -> None:
    """One authority and its chain: by name, common name or the beginning of its fingerprint."""
    _show_authority(_issuance(home).authorities.get(name), as_json)


def _issuance(home: Home) -> "Issuance":
    from leafward.authority.issuance import Issuance

    return Issuance(home.maker)


def _issue(
    home: Home,
    kind: str,
    name: str,
    *,
    csr: Path | None,
    folder: Path,
    issuer: str | None,
    key: str,
    days: int | None,
    as_json: bool,
) -> None:
    """Issues from a request or with a key made here, and says where the files are."""
    from leafward import disk
    from leafward.authority.delivery import deliver
    from leafward.pki.key_types import parse_key_type
    from leafward.pki.request import CertificateRequest

    issuance = _issuance(home)
    files = deliver(
        issuance,
        kind,
        name,
        CertificateRequest.from_csr(disk.read_file(csr)) if csr else parse_key_type(key),
        folder,
        now=system_clock(),
        issuer=issuance.authorities.get(issuer) if issuer else None,
        lifetime=_lifetime(days),
    )
    facts = {
        "certificate": str(files.certificate),
        "private_key": str(files.private_key) if files.private_key else None,
    }
    _show_chain(files.chain, {"name": name, **facts}, as_json)


def _show_authority(authority: "Authority", as_json: bool) -> None:
    _show_chain(authority.chain, {"name": authority.name}, as_json)


def _show_chain(chain: "Chain", facts: dict[str, Any], as_json: bool) -> None:
    from leafward.cli.tree import draw_chain
    from leafward.pki.summary import describe_chain

    if as_json:
        voice.say_json({**facts, **describe_chain(str(facts["name"]), chain)})
        return
    for line in draw_chain(chain):
        voice.say(line)
    for label, value in facts.items():
        if value is not None and label != "name":
            voice.say(f"{label.replace('_', ' ')}: {value}")


def _lifetime(days: int | None) -> timedelta | None:
    return timedelta(days=days) if days is not None else None
