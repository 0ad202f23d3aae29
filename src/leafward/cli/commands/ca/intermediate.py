"""`leafward ca intermediate`: makes an intermediate CA, or the request for one."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_limits import (
    asked_lifetime,
    below_option,
    chosen_issuer,
    forever_option,
    limit_options,
    parsed_limits,
    path_length,
)
from leafward.cli.ca_options import (
    days_option,
    encrypt_options,
    issuer_option,
    key_at_option,
    key_option,
    proof_option,
)
from leafward.cli.ca_output import open_issuance, proved, show_authority, show_facts
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home


@click.command("intermediate")
@click.argument("name")
@issuer_option
@click.option(
    "--csr-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make the key here and only write the request, for somebody else to sign.",
)
@below_option
@limit_options
@key_option
@key_at_option
@encrypt_options
@days_option
@forever_option
@proof_option
@home_option
@json_option
def command(
    name: str,
    *,
    issuer: str | None,
    csr_out: Path | None,
    intermediates_below: int,
    permit_dns: tuple[str, ...],
    permit_ip: tuple[str, ...],
    policy: tuple[str, ...],
    key: str,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    proof: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Makes an intermediate CA under a root or another intermediate.

    Its path length follows from what is to hang below it. With --csr-out somebody else signs it: a purchased or
    corporate root, or an offline one; leafward ca import takes the answer.
    """
    from leafward.authority.elsewhere import request_intermediate
    from leafward.pki.key_types import parse_key_type

    issuance, now, limits = open_issuance(home), system_clock(), parsed_limits(permit_dns, permit_ip, policy)
    lifetime, kind = asked_lifetime(days, forever), parse_key_type(key)
    if csr_out is None:
        made = issuance.intermediate(
            name,
            kind,
            now=now,
            issuer=chosen_issuer(issuance, issuer, lifetime, now),
            intermediates_below=intermediates_below,
            lifetime=lifetime,
            at=key_at,
            limits=limits,
        )
        show_authority(made, as_json, **proved(issuance, made.chain, proof))
        return
    if proof is not None:
        raise UsageError("there is nothing to prove yet", why="with --csr-out somebody else signs, and logs it")
    room = path_length(intermediates_below)
    request = request_intermediate(
        issuance.authorities, name, kind, path_length=room, limits=limits, at=key_at, copy=csr_out
    )
    show_facts({"name": request.name, "request": str(csr_out)}, as_json)
    if not as_json:
        voice.hint("have it signed, then: leafward ca import SIGNED.pem, with the files of its issuers")
