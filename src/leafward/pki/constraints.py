"""What a CA is held to: the names it may certify (name constraints) and the policies it works under.

A device CA is fenced to its site so that a stolen gateway cannot speak for another. A constraint on one kind of name
says nothing of the other kinds (RFC 5280 4.2.1.10), so a fence of DNS names shuts out every address that it does not
permit, and a fence of addresses every DNS name.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

from cryptography import x509

from leafward.errors import NameFormatError
from leafward.pki.extension import value
from leafward.pki.link import loose_name
from leafward.pki.names import HostName, parse_gateway_host

Network: TypeAlias = IPv4Network | IPv6Network

ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")  # RFC 5280 4.2.1.4
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_EVERY_DNS_NAME = x509.DNSName("")  # a base of no labels: everything is below it
_EVERY_ADDRESS = (x509.IPAddress(IPv4Network("0.0.0.0/0")), x509.IPAddress(IPv6Network("::/0")))


@dataclass(frozen=True, slots=True)
class Restrictions:
    """The extension values for a certificate: each None where there is nothing to say."""

    names: x509.NameConstraints | None = None
    policies: x509.CertificatePolicies | None = None


NO_RESTRICTIONS = Restrictions()


def parse_permitted_dns(text: str) -> str:
    """A domain that a CA may certify: itself and every name below it. Raises `NameFormatError`.

    >>> parse_permitted_dns("Site7.example")
    'site7.example'
    """
    if text.startswith(("*", ".")):
        why = "a permitted name stands for itself and for every name below it (RFC 5280 4.2.1.10)"
        raise NameFormatError(f"{text!r} is no permitted DNS name", why=why, hint=f"write {text.lstrip('*.')}")
    host = parse_gateway_host(text)
    if not isinstance(host, HostName):
        raise NameFormatError(f"the address {host} as a permitted DNS name", hint=f"use --permit-ip {host}")
    return host.text


def parse_permitted_ip(text: str) -> Network:
    """A network, or one address, that a CA may certify. Raises `NameFormatError`, also for bits beyond the prefix.

    >>> parse_permitted_ip("10.7.0.0/16")
    IPv4Network('10.7.0.0/16')
    """
    try:
        return ip_network(text)
    except ValueError as error:
        hint = "write a network such as 10.7.0.0/16 or 2001:db8:7::/48"
        raise NameFormatError(f"{text!r} is no network", why=str(error), hint=hint) from None


def parse_policy(text: str) -> x509.ObjectIdentifier:
    """A policy's object identifier in dots. Raises `NameFormatError`.

    >>> parse_policy("1.3.6.1.4.1.99999.7").dotted_string
    '1.3.6.1.4.1.99999.7'
    """
    try:
        if not _OID.fullmatch(text):
            raise ValueError("expected numbers with dots between them")
        return x509.ObjectIdentifier(text)
    except ValueError as error:
        hint = "write your organisation's number, such as 1.3.6.1.4.1.99999.1"
        raise NameFormatError(f"{text!r} is no policy identifier", why=str(error), hint=hint) from None


def fence(permit_dns: Sequence[str], permit_ip: Sequence[Network]) -> x509.NameConstraints | None:
    """The constraints that leave these names and no others (of kinds that a server can be called by); None for none.

    As CA/B Forum BR 7.1.2.5.2 has it: a kind or an address family of which nothing is permitted is shut out whole.
    """
    if not permit_dns and not permit_ip:
        return None
    permitted = [*map(x509.DNSName, permit_dns), *map(x509.IPAddress, permit_ip)]
    versions = {network.version for network in permit_ip}
    excluded: list[x509.GeneralName] = [one for one in _EVERY_ADDRESS if one.value.version not in versions]
    if not permit_dns:
        excluded.append(_EVERY_DNS_NAME)
    return x509.NameConstraints(permitted, excluded or None)


def policies_extension(policies: Iterable[x509.ObjectIdentifier]) -> x509.CertificatePolicies | None:
    """certificatePolicies without qualifiers (RFC 5280 4.2.1.4 advises against them); None for no policy."""
    wanted = [x509.PolicyInformation(one, None) for one in dict.fromkeys(policies)]
    return x509.CertificatePolicies(wanted) if wanted else None


def policies_of(certificate: x509.Certificate) -> tuple[x509.ObjectIdentifier, ...]:
    """The policies of a certificate, in its order; empty where it names none."""
    found = value(certificate, x509.CertificatePolicies)
    return () if found is None else tuple(one.policy_identifier for one in found)


def are_constrained(chain: Iterable[x509.Certificate]) -> bool:
    """True where a certificate of the chain has name constraints."""
    return any(value(one, x509.NameConstraints) is not None for one in chain)


def permits_dns(chain: Iterable[x509.Certificate], name: str) -> bool:
    """True where every CA of the chain may certify this DNS name."""
    found = (value(one, x509.NameConstraints) for one in chain)
    return all(one is None or violation(x509.DNSName(name), one) is None for one in found)


def violation(name: x509.GeneralName, constraints: x509.NameConstraints) -> str | None:
    """What was expected of a name, in words; None where it is allowed.

    A constraint on a kind of name that cannot be judged is a violation as soon as such a name is met, as in OpenSSL.
    """
    excluded = [base for base in constraints.excluded_subtrees or () if isinstance(base, type(name))]
    permitted = [base for base in constraints.permitted_subtrees or () if isinstance(base, type(name))]
    within = _WITHIN.get(type(name))
    if within is None:
        return "no constraint on a kind of name that cannot be judged" if excluded or permitted else None
    if _is_inside(name, excluded, within):
        return f"a name inside {_all(permitted)}" if permitted else f"a name outside of {_all(excluded)}"
    if permitted and not _is_inside(name, permitted, within):
        return f"a name inside {_all(permitted)}"
    return None


def name_text(name: x509.GeneralName) -> str:
    """A name for people: "DNS:gateway.example", "IP:192.0.2.0/24"."""
    if isinstance(name, x509.DirectoryName):
        return f"directory:{name.value.rfc4514_string()}"
    return f"{_KINDS.get(type(name), type(name).__name__)}:{name.value}"


def _is_inside(name: x509.GeneralName, bases: Iterable[x509.GeneralName], within: Callable[..., bool]) -> bool:
    return any(within(name.value, base.value) for base in bases)


def _all(bases: Iterable[x509.GeneralName]) -> str:
    return ", ".join(name_text(one) if one != _EVERY_DNS_NAME else "every DNS name" for one in bases)


def _dns_within(name: str, base: str) -> bool:
    """The base itself and everything below it; with a leading dot only what is below; an empty base is everything."""
    name, base = name.lower().rstrip("."), base.lower()
    if not base:
        return True
    return name.endswith(base) if base.startswith(".") else name == base or name.endswith(f".{base}")


def _mail_within(name: str, base: str) -> bool:
    """One mailbox, all of one host, or (leading dot) all hosts below a domain."""
    host = name.rpartition("@")[2].lower()
    if "@" in base:
        return name.rpartition("@")[0] == base.rpartition("@")[0] and host == base.rpartition("@")[2].lower()
    return host.endswith(base.lower()) if base.startswith(".") else host == base.lower()


def _uri_within(name: str, base: str) -> bool:
    """The host part of the URI, as a mail host."""
    authority = name.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return _mail_within(authority.partition(":")[0], base)


def _address_within(name: object, base: object) -> bool:
    return name in base  # type: ignore[operator]  # an address in a network of the same or the other family


def _directory_within(name: x509.Name, base: x509.Name) -> bool:
    """The base is where the name begins, part by part (RFC 5280 7.1)."""
    wanted = loose_name(base)
    return loose_name(name)[: len(wanted)] == wanted


_WITHIN: dict[type, Callable[..., bool]] = {
    x509.DNSName: _dns_within,
    x509.RFC822Name: _mail_within,
    x509.UniformResourceIdentifier: _uri_within,
    x509.IPAddress: _address_within,
    x509.DirectoryName: _directory_within,
}
_KINDS: dict[type, str] = {x509.DNSName: "DNS", x509.IPAddress: "IP", x509.RFC822Name: "email"}
