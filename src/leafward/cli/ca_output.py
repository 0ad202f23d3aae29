"""What the `leafward ca` commands do alike: open the authority, issue, show."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_limits import chosen_issuer
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.authorities import Authority
    from leafward.authority.delivery import Delivery
    from leafward.authority.elsewhere import Limits
    from leafward.authority.issuance import Issuance
    from leafward.pki.chain import Chain
    from leafward.pki.key_types import KeyType
    from leafward.pki.request import CertificateRequest


def open_issuance(home: Home) -> "Issuance":
    """The maker's authority of this home, closed when the command ends."""
    from leafward.authority.issuance import Issuance
    from leafward.authority.settings import read_maker

    maker = read_maker(home.settings)
    issuance = Issuance(home.maker, database=maker.database, publishing=maker.publishing)
    click.get_current_context().call_on_close(issuance.close)
    return issuance


def issue_and_show(
    home: Home,
    kind: str,
    name: str,
    *,
    csr: Path | None,
    folder: Path,
    issuer: str | None,
    key: str,
    lifetime: timedelta | None,
    as_json: bool,
    proof: Path | None = None,
    limits: "Limits | None" = None,
    serial_number: str | None = None,
    replacing: bool = False,
    renewing: bool = False,
) -> None:
    """Issues from a request or with a key made here, and says where the files are."""
    from leafward.authority.delivery import deliver
    from leafward.authority.elsewhere import NO_LIMITS

    issuance, now = open_issuance(home), system_clock()
    files = deliver(
        issuance,
        kind,
        name,
        key_source(csr, key),
        folder,
        now=now,
        issuer=chosen_issuer(issuance, issuer, lifetime, now),
        lifetime=lifetime,
        limits=limits or NO_LIMITS,
        serial_number=serial_number,
        replacing=replacing,
        renewing=renewing,
    )
    show_chain(files.chain, {"name": name, **delivered(files), **proved(issuance, files.chain, proof)}, as_json)


def proved(issuance: "Issuance", chain: "Chain", path: Path | None, label: str = "proof") -> dict[str, str]:
    """Writes the proof that a certificate is in the log, where one is wanted, and says where it is."""
    from leafward.authority.proofs import write_proof

    return {} if path is None else {label: str(write_proof(issuance.ledger, chain.leaf, path))}


def key_source(csr: Path | None, key: str) -> "CertificateRequest | KeyType":
    """The request in a file, else the kind of the key that is to be made here."""
    from leafward import disk
    from leafward.pki.key_types import parse_key_type
    from leafward.pki.request import CertificateRequest

    return CertificateRequest.from_csr(disk.read_file(csr)) if csr else parse_key_type(key)


def delivered(files: "Delivery") -> dict[str, str | None]:
    """Where the files of one certificate are."""
    return {
        "certificate": str(files.certificate),
        "private_key": str(files.private_key) if files.private_key else None,
    }


def show_authority(authority: "Authority", as_json: bool, **facts: str) -> None:
    """An authority's name and chain, and what else there is to say of it."""
    show_chain(authority.chain, {"name": authority.name, **facts}, as_json)


def show_chain(chain: "Chain", facts: dict[str, Any], as_json: bool) -> None:
    """A chain as a tree with facts below it, or both as JSON."""
    from leafward.cli.tree import draw_chain
    from leafward.pki.summary import describe_chain

    if as_json:
        voice.say_json({**facts, **describe_chain(str(facts["name"]), chain)})
        return
    for line in draw_chain(chain):
        voice.say(line)
    show_facts(facts, as_json=False)


def show_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Facts as lines, what is not known left out, or as JSON."""
    if as_json:
        voice.say_json(facts)
        return
    for label, value in facts.items():
        if value is not None and label != "name":
            voice.say(f"{label.replace('_', ' ')}: {value}")
