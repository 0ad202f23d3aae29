"""`leafward ca ceremony`: an offline root, by files on a stick and with a written record."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_limits import (
    asked_lifetime,
    below_option,
    forever_option,
    limit_options,
    limit_texts,
    parsed_limits,
    path_length,
    serial_number_option,
)
from leafward.cli.ca_options import days_option, encrypt_options, key_at_option, key_option, passphrase_option
from leafward.cli.ca_output import open_issuance, show_chain, show_facts
from leafward.cli.commands.ca.import_ import show_imported
from leafward.cli.commands.ca.sign import KINDS
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.ceremony import Plan

_STICK = click.Path(file_okay=False, path_type=Path)
_by = click.option("--by", multiple=True, required=True, metavar="PERSON", help="Who is there; may be repeated.")


@click.group("ceremony")
def command() -> None:
    """Everything that needs the root key, on a machine without a network.

    \b
    offline  leafward ca ceremony root --cn "Example Root CA" --by "A. Person" --stick STICK
    online   leafward ca import STICK/root.pem
             leafward ca intermediate "Example Factory CA" --csr-out factory.csr
             leafward ca ceremony request STICK factory.csr --profile intermediate_ca
    offline  leafward ca ceremony show STICK
             leafward ca ceremony sign STICK --expect DIGEST --by "A. Person"
    online   leafward ca ceremony import STICK
    """


@command.command()
@click.option("--cn", required=True, metavar="NAME", help="Common name of the root.")
@click.option("--stick", type=_STICK, help="Folder for the root's certificate and the transcript.")
@_by
@key_option
@key_at_option
@encrypt_options
@days_option
@forever_option
@home_option
@json_option
def root(
    *,
    cn: str,
    stick: Path | None,
    by: tuple[str, ...],
    key: str,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Offline: makes a root CA and writes the transcript."""
    from leafward.authority import ceremony
    from leafward.pki.key_types import parse_key_type

    issuance, now = open_issuance(home), system_clock()
    made = issuance.root(cn, parse_key_type(key), now=now, lifetime=asked_lifetime(days, forever), at=key_at)
    transcript = ceremony.tell_of_root(issuance, made, by=by, now=now)
    copies = ceremony.copy_to_stick(stick, {"root.pem": made.chain.to_pem()}, transcript) if stick else []
    facts = {"name": made.name, "transcript": str(transcript), "stick": ", ".join(map(str, copies)) or None}
    show_chain(made.chain, facts, as_json)


@command.command()
@click.argument("name")
@click.option("--stick", type=_STICK, help="Folder for the certificates and the transcript.")
@_by
@key_option
@key_at_option
@encrypt_options
@days_option
@forever_option
@home_option
@json_option
def rollover(
    name: str,
    *,
    stick: Path | None,
    by: tuple[str, ...],
    key: str,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Offline: makes the root that follows NAME, as `leafward ca rollover`, and writes the transcript."""
    from leafward.authority import ceremony
    from leafward.authority.rollover import roll_over
    from leafward.pki.key_types import parse_key_type

    issuance, now = open_issuance(home), system_clock()
    old, lifetime = issuance.authorities.get(name), asked_lifetime(days, forever)
    made = roll_over(issuance, old, parse_key_type(key), now=now, lifetime=lifetime, at=key_at)
    transcript = ceremony.tell_of_rollover(issuance, old, made, by=by, now=now)
    copies = ceremony.copy_to_stick(stick, ceremony.rollover_files(made), transcript) if stick else []
    facts = {"name": made.root.name, "transcript": str(transcript), "stick": ", ".join(map(str, copies)) or None}
    show_chain(made.root.chain, facts, as_json)


@command.command()
@click.argument("stick", type=_STICK)
@click.argument("csr", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--profile", type=click.Choice(KINDS), default="intermediate_ca", show_default=True)
@click.option("--name", metavar="NAME", help="Common name; default: the request's.")
@below_option
@limit_options
@serial_number_option
@days_option
@json_option
def request(
    stick: Path,
    csr: Path,
    *,
    profile: str,
    name: str | None,
    intermediates_below: int,
    permit_dns: tuple[str, ...],
    permit_ip: tuple[str, ...],
    policy: tuple[str, ...],
    serial_number: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Online: puts the request CSR on the stick; may be repeated for more. Write the digest on paper."""
    from leafward import disk
    from leafward.authority import ceremony
    from leafward.authority.signing import named
    from leafward.authority.stick import Item
    from leafward.pki.request import CertificateRequest

    data = disk.read_file(csr)
    item = Item(
        file="unplaced",
        sha256="0" * 64,
        profile=profile,
        name=str(named(CertificateRequest.from_csr(data), name).common_name),
        days=days,
        path_length=path_length(intermediates_below) if profile == "intermediate_ca" else None,
        serial_number=serial_number,
        **limit_texts(parsed_limits(permit_dns, permit_ip, policy)),
    )
    digest = ceremony.ask(stick, data, item, now=system_clock())
    show_facts({"stick": str(stick), "digest": digest}, as_json)
    if not as_json:
        voice.hint("write the digest on paper; on the offline machine: leafward ca ceremony show STICK")


@command.command()
@click.argument("stick", type=_STICK)
@click.option("--issuer", metavar="NAME", help="Which CA is to sign; default: the only one.")
@passphrase_option
@home_option
@json_option
def show(stick: Path, *, issuer: str | None, home: Home, as_json: bool) -> None:
    """Offline: shows in full what would be signed, and the digest to compare with the paper. Signs nothing."""
    _show_plan(_plan(home, stick, issuer), as_json)


@command.command()
@click.argument("stick", type=_STICK)
@click.option("--issuer", metavar="NAME", help="Which CA signs; default: the only one.")
@click.option("--expect", metavar="DIGEST", help="The digest on the paper, or its first 8 digits or more.")
@_by
@passphrase_option
@yes_option
@home_option
@json_option
def sign(
    stick: Path,
    *,
    issuer: str | None,
    expect: str | None,
    by: tuple[str, ...],
    yes: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Offline: shows what is asked, asks, signs it, writes the transcript, and puts the answer on the stick."""
    from leafward.authority import ceremony

    issuance = open_issuance(home)
    plan = _plan(home, stick, issuer)
    if not as_json:
        _show_plan(plan, as_json)
    told = expect or click.prompt("the first 8 digits of the digest on the paper, or more")
    ceremony.check_digest(plan, told)
    if not yes:
        click.confirm(f"sign {len(plan.items)} with {plan.issuer.name}?", abort=True, err=True)
    confirmed = f"the digest was given as {told}; {'--yes was given' if yes else 'the question was answered with yes'}"
    paths = ceremony.sign(issuance, plan, by=by, confirmed=confirmed, now=system_clock())
    transcript = ceremony.last_transcript(issuance)
    show_facts({"certificates": [str(path) for path in paths], "transcript": str(transcript)}, as_json)


@command.command("import")
@click.argument("stick", type=_STICK)
@passphrase_option
@home_option
@json_option
def take_in(stick: Path, *, home: Home, as_json: bool) -> None:
    """Online: takes the answer from the stick and completes the CAs that wait for it."""
    from leafward.authority import ceremony

    show_imported(ceremony.take_in(open_issuance(home), stick, now=system_clock()), as_json)


@command.command()
@home_option
@json_option
def verify(home: Home, as_json: bool) -> None:
    """Checks that the transcripts follow one another, and prints their digests. Exit code 3 where one does not."""
    from leafward.authority.transcript import verify_transcripts

    found = verify_transcripts(home.maker)
    if as_json:
        voice.say_json([{"transcript": str(path), "sha256": digest} for path, digest in found])
        return
    for path, digest in found:
        voice.say(f"{digest}  {path.name}")
    if not found:
        voice.hint('no ceremony yet: leafward ca ceremony root --cn "Example Root CA" --by "A. Person"')


def _plan(home: Home, stick: Path, issuer: str | None) -> "Plan":
    from leafward.authority import ceremony

    issuance = open_issuance(home)
    signer = issuance.authorities.get(issuer) if issuer else issuance.authorities.default_issuer()
    return ceremony.plan(issuance, stick, signer, now=system_clock())


def _show_plan(plan: "Plan", as_json: bool) -> None:
    if as_json:
        items = [one.item.model_dump() for one in plan.items]
        voice.say_json({"digest": plan.digest, "issuer": plan.issuer.name, "items": items, "lines": plan.lines()})
        return
    for line in plan.lines():
        voice.say(line)
    voice.say(f"issuer: {plan.issuer.name}")
    voice.say(f"digest: {plan.digest}")
