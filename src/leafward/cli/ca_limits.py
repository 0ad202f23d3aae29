"""What a certificate is held to, as options: the names it may certify, its policies, its place and its end."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from leafward.cli.options import Command

if TYPE_CHECKING:
    from leafward.authority.authorities import Authority
    from leafward.authority.elsewhere import Limits
    from leafward.authority.issuance import Issuance


def limit_options(function: Command) -> Command:
    """`--permit-dns`, `--permit-ip` and `--policy`; the command gets `limits`."""
    options = (
        ("--permit-dns", "NAME", "Fence: this DNS name and all below it, and no other names; may be repeated."),
        ("--permit-ip", "NETWORK", "Fence: the addresses of this network; may be repeated."),
        ("--policy", "OID", "A policy it is issued under; may be repeated."),
    )
    for flag, metavar, text in options:
        function = click.option(flag, metavar=metavar, multiple=True, help=text)(function)
    return function


def parsed_limits(permit_dns: tuple[str, ...], permit_ip: tuple[str, ...], policy: tuple[str, ...]) -> "Limits":
    """The three options as limits. Raises `NameFormatError`."""
    from leafward.authority.elsewhere import Limits
    from leafward.pki.constraints import parse_permitted_dns, parse_permitted_ip, parse_policy

    return Limits(
        tuple(map(parse_permitted_dns, permit_dns)),
        tuple(map(parse_permitted_ip, permit_ip)),
        tuple(map(parse_policy, policy)),
    )


def below_option(function: Command) -> Command:
    """`--intermediates-below`: the room below a CA, from which its path length follows."""
    text = "How many further intermediates are to hang below it."
    return click.option("--intermediates-below", type=click.IntRange(0, 8), default=0, show_default=True, help=text)(
        function
    )


def forever_option(function: Command) -> Command:
    """`--forever`: 99991231235959Z, no well-defined end (RFC 5280 4.1.2.5)."""
    return click.option("--forever", is_flag=True, help="Without an end (99991231235959Z), instead of --days.")(
        function
    )


def serial_number_option(function: Command) -> Command:
    """`--serial-number`: the subject's, which tells two devices of one name apart (IEEE 802.1AR)."""
    text = "Serial number of the device, in the subject of its identity."
    return click.option("--serial-number", metavar="TEXT", help=text)(function)


def asked_lifetime(days: int | None, forever: bool) -> timedelta | None:
    """`--days` or `--forever` as a lifetime; None: the profile's. Raises `UsageError` where both are given."""
    from leafward.errors import UsageError
    from leafward.pki.validity import FOREVER

    if forever and days is not None:
        raise UsageError("--days and --forever exclude each other", hint="give one of them")
    if forever:
        return FOREVER
    return timedelta(days=days) if days is not None else None


def chosen_issuer(issuance: "Issuance", name: str | None, lifetime: timedelta | None, now: datetime) -> "Authority":
    """`--issuer`, or the only one there is; refuses a lifetime that was asked for beyond the issuer's own end."""
    from leafward.authority.lifetimes import refuse_beyond

    authorities = issuance.authorities
    issuer = authorities.get(name) if name else authorities.default_issuer()
    refuse_beyond(issuer, lifetime, now=now)
    return issuer


def path_length(intermediates_below: int) -> int:
    """The path length of an intermediate with so many more below it, then a device CA and a workload CA."""
    from leafward.authority.issuance import DEPTH_BELOW_LAST_INTERMEDIATE

    return DEPTH_BELOW_LAST_INTERMEDIATE + intermediates_below


def limit_texts(limits: "Limits") -> dict[str, Any]:
    """Limits as texts, for a bundle that is carried to another machine."""
    return {
        "permit_dns": list(limits.permit_dns),
        "permit_ip": [str(one) for one in limits.permit_ip],
        "policies": [one.dotted_string for one in limits.policies],
    }
