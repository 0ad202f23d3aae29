"""`leafward ca revoke`: takes a certificate back before it ends."""

from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import show_facts
from leafward.cli.ca_revocation import list_facts, open_maker
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.revocation import Outcome

RELEASE = "removeFromCRL"
# As `leafward.pki.crl.REASONS`, which is not loaded to show a help text.
REASONS = (
    "unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, "
    "certificateHold or privilegeWithdrawn"
)


@click.command("revoke")
@click.argument("name")
@click.option(
    "--reason", metavar="REASON", default="unspecified", show_default=True, help=f"Why (RFC 5280 5.3.1): {REASONS}."
)
@passphrase_option
@home_option
@json_option
def command(name: str, *, reason: str, home: Home, as_json: bool) -> None:
    """Revokes a certificate: NAME is its name, fingerprint or serial number, or the name of an authority.

    It is recorded first; then the revocation list that speaks for it is signed. A certificate on hold is released with
    --reason removeFromCRL, or revoked for good with another reason; nothing else can be taken back.

    \b
    Examples:
      leafward ca revoke pump-7 --reason keyCompromise
      leafward ca revoke 4c019a… --reason certificateHold
      leafward ca revoke 4c019a… --reason removeFromCRL
    """
    from leafward.authority.revocation import Revocation
    from leafward.pki.crl import parse_reason

    releases = reason.lower() == RELEASE.lower()
    reason = reason if releases else parse_reason(reason)
    revocation, now = Revocation(open_maker(home)), system_clock()
    outcome = revocation.release(name, now=now) if releases else revocation.revoke(name, reason, now=now)
    _show(outcome, as_json)


def _show(outcome: "Outcome", as_json: bool) -> None:
    from leafward.cli.ca_inventory import facts

    issued, published = outcome.issued, outcome.published
    listed: dict[str, Any] | None = None if published is None else list_facts(published)
    if as_json:
        show_facts({**facts(issued), "list": listed}, as_json)
    elif issued.revoked is None:
        voice.say(f"released {issued.label}, {issued.sha256}")
    else:
        voice.say(f"revoked {issued.label}, {issued.sha256}, reason {issued.reason}")
    if outcome.pending is not None:
        voice.warn(f"it is recorded, and its revocation list is not published yet: {outcome.pending}")
        voice.hint(f"{outcome.pending.hint + '; then: ' if outcome.pending.hint else ''}leafward ca crl")
    elif published is not None and not as_json:
        voice.say(f"list {published.number}: {published.path}")
    elif published is None:
        voice.warn(f"no list tells of it: the certificate says so itself; it ends on {issued.not_after:%Y-%m-%d %H:%M}")
