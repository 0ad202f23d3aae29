"""`leafward ca cross-sign`: another root vouches for a CA."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_limits import asked_lifetime
from leafward.cli.ca_options import days_option, passphrase_option, proof_option
from leafward.cli.ca_output import open_issuance, proved, show_chain, show_facts
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("cross-sign")
@click.argument("name")
@click.option("--by", metavar="OTHER", help="The root, or intermediate of another hierarchy, that signs.")
@click.option("--csr-out", type=click.Path(dir_okay=False, path_type=Path), help="Only write a request for it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File for the cross-signed chain.")
@click.option("--intermediates-below", type=click.IntRange(0, 8), help="Less room below it than NAME has.")
@passphrase_option
@days_option
@proof_option
@home_option
@json_option
def command(
    name: str,
    *,
    by: str | None,
    csr_out: Path | None,
    out: Path | None,
    intermediates_below: int | None,
    days: int | None,
    proof: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Makes a second certificate for the CA NAME: the same name and key, signed by OTHER.

    What NAME signed then verifies for those who trust OTHER's root too. Where OTHER's key is not here, --csr-out writes
    a request for it; leafward ca import takes the answer.
    """
    from leafward import disk
    from leafward.authority.cross_signing import cross_sign
    from leafward.authority.elsewhere import request_again
    from leafward.authority.issuance import DEPTH_BELOW_LAST_INTERMEDIATE
    from leafward.authority.signing import free_file
    from leafward.errors import UsageError

    issuance, now = open_issuance(home), system_clock()
    authority = issuance.authorities.get(name)
    if (by is None) == (csr_out is None):
        raise UsageError("who signs is not clear", hint="give --by OTHER, or --csr-out FILE for somebody else")
    if csr_out is not None:
        disk.write_file(free_file(csr_out), request_again(authority), mode=disk.PUBLIC)
        show_facts({"request": str(csr_out)}, as_json)
        if not as_json:
            voice.hint("have it signed, then: leafward ca import SIGNED.pem")
        return
    path = free_file(out) if out else None
    chain = cross_sign(
        issuance,
        authority,
        issuance.authorities.get(by or ""),
        now=now,
        lifetime=asked_lifetime(days, forever=False),
        path_length=None if intermediates_below is None else DEPTH_BELOW_LAST_INTERMEDIATE + intermediates_below,
    )
    if path is not None:
        disk.write_file(path, chain.to_pem(), mode=disk.PUBLIC)
    facts = {"name": authority.name, "certificate": str(path) if path else None}
    show_chain(chain, {**facts, **proved(issuance, chain, proof)}, as_json)
