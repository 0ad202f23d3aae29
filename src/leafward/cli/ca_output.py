"""What the `leafward ca` commands do alike: open the authority, issue, show."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from leafward.cli import voice
from leafward.cli.ca_options import lifetime
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.authorities import Authority
    from leafward.authority.issuance import Issuance
    from leafward.pki.chain import Chain


def open_issuance(home: Home) -> "Issuance":
    """The maker's authority of this home."""
    from leafward.authority.issuance import Issuance

    return Issuance(home.maker)


def issue_and_show(
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

    issuance = open_issuance(home)
    files = deliver(
        issuance,
        kind,
        name,
        CertificateRequest.from_csr(disk.read_file(csr)) if csr else parse_key_type(key),
        folder,
        now=system_clock(),
        issuer=issuance.authorities.get(issuer) if issuer else None,
        lifetime=lifetime(days),
    )
    facts = {
        "certificate": str(files.certificate),
        "private_key": str(files.private_key) if files.private_key else None,
    }
    show_chain(files.chain, {"name": name, **facts}, as_json)


def show_authority(authority: "Authority", as_json: bool) -> None:
    """An authority's name and chain."""
    show_chain(authority.chain, {"name": authority.name}, as_json)


def show_chain(chain: "Chain", facts: dict[str, Any], as_json: bool) -> None:
    """A chain as a tree with facts below it, or both as JSON."""
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
