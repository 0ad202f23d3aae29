"""What the `leafward ca` commands about revocation do alike: open the authority, show lists."""

from typing import TYPE_CHECKING, Any

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.crl_publication import Published
    from leafward.authority.issuance import Issuance

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def open_maker(home: Home) -> "Issuance":
    """The maker's authority; `NotFound` for a home that has none, in which nothing is made."""
    from leafward.errors import NotFound

    issuance = open_issuance(home)
    if not issuance.has_issued:
        raise NotFound("there is no authority yet", hint='leafward ca init --cn "Example Root CA"')
    return issuance


def list_facts(published: "Published") -> dict[str, Any]:
    """A list as JSON values. `part` is null for the complete list of a CA."""
    return {
        "authority": published.authority,
        "issuer_key_id": published.issuer_key_id,
        "part": published.partition or None,
        "url": published.address,
        "number": published.number,
        "this_update": f"{published.this_update:{_TIME}}",
        "next_update": f"{published.next_update:{_TIME}}",
        "revoked": published.lines,
        "file": str(published.path),
    }


def say_list(published: "Published") -> None:
    """A list as one line."""
    part = f"part {published.partition}" if published.partition else "complete"
    voice.say(
        f"{published.authority:<24}  {part:<10}  number {published.number:<6}  {published.lines:>8} revoked  "
        f"until {published.next_update:%Y-%m-%d %H:%M}  {published.path}"
    )
