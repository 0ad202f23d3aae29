"""Issuing revocation lists (RFC 5280 section 5): whole ones, and parts that name the certificates they speak for.

A part has a critical issuingDistributionPoint: a verifier that does not match it against the certificate must refuse
it, so that nobody takes the silence of one part for the word of another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography import x509

from leafward.errors import RuleViolation, UsageError
from leafward.pki.contents import authority_key_identifier
from leafward.pki.der import CONTEXT_0, SEQUENCE, element
from leafward.pki.extension import value
from leafward.pki.issuer import Issuer
from leafward.pki.revocation import REMOVED, UNSPECIFIED
from leafward.pki.signed_object import algorithm, extension, integer, signed, time, wrong_signature
from leafward.pki.validity import Validity

# What may be said of a certificate, by the names of RFC 5280 5.3.1. "removeFromCRL" is no reason to revoke.
REASONS: Mapping[str, x509.ReasonFlags] = MappingProxyType(
    {reason.value: reason for reason in x509.ReasonFlags if reason.value not in (REMOVED, "aACompromise")}
)
_VERSION_2 = integer(1)
MAX_NUMBER = 1 << 159  # 20 octets, RFC 5280 5.2.3


@dataclass(frozen=True, slots=True)
class Line:
    """A revoked certificate: its serial, since when (aware UTC), and why, by the names of RFC 5280 5.3.1."""

    serial: int
    revoked: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class IssuedList:
    """A signed list. `lines` is how many certificates are in it; the times are aware UTC."""

    der: bytes
    this_update: datetime
    next_update: datetime
    lines: int


def parse_reason(text: str) -> str:
    """A reason's name in any case, as RFC 5280 writes it. Raises `UsageError` that lists them.

    >>> parse_reason("KEYCOMPROMISE")
    'keyCompromise'
    """
    found = next((name for name in REASONS if name.lower() == text.lower()), None)
    if found is None:
        raise UsageError(f"no reason {text!r}", hint=f"one of {', '.join(REASONS)}; {REMOVED} releases a hold")
    return found


def issue_crl(
    issuer: Issuer,
    lines: Iterable[Line],
    *,
    number: int,
    now: datetime,
    lifetime: timedelta,
    distribution_point: str | None = None,
) -> IssuedList:
    """Signs a list that begins `now` (aware UTC) and ends after `lifetime`, or with the issuer.

    `number` is greater than that of the list before (RFC 5280 5.2.3). With a `distribution_point`, the list speaks for
    the certificates that name this address; without one, for all that the issuer ever issued.

    Raises `RuleViolation`: "key-usage-missing-crl-sign", "certificate-expired" or "certificate-not-yet-valid" of the
    issuer, "signature-invalid"; ValueError for a number that is none; and what the key raises.
    """
    if not 0 < number < MAX_NUMBER:
        raise ValueError(f"no CRL number: {number}")
    leaf = issuer.chain.leaf
    _may_sign(leaf)
    end = Validity.starting(now, lifetime, Validity.of(leaf)).not_after
    entries = [_entry(line) for line in lines]
    tbs = element(
        SEQUENCE,
        _VERSION_2,
        algorithm(issuer.key_type),
        leaf.subject.public_bytes(),
        time(now),
        time(end),
        element(SEQUENCE, *entries) if entries else b"",  # an empty list is left out, RFC 5280 5.1.2.6
        element(CONTEXT_0, element(SEQUENCE, *_extensions(leaf, number, distribution_point))),
    )
    der = signed(tbs, issuer.key, issuer.key_type)
    read = x509.load_der_x509_crl(der)
    if not read.is_signature_valid(leaf.public_key()):  # type: ignore[arg-type]  # an issuer's key signs
        raise wrong_signature("a revocation list")
    return IssuedList(der, read.last_update_utc, end, len(entries))


def _may_sign(leaf: x509.Certificate) -> None:
    usage = value(leaf, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        why = "its keyUsage has no cRLSign, so nobody would believe it (RFC 5280 4.2.1.3)"
        hint = "have the CA certificate issued anew with cRLSign"
        what = f"'{leaf.subject.rfc4514_string()}' may not sign revocation lists"
        raise RuleViolation("key-usage-missing-crl-sign", what, why=why, hint=hint)


def _extensions(leaf: x509.Certificate, number: int, distribution_point: str | None) -> list[bytes]:
    found = [extension(authority_key_identifier(leaf)), extension(x509.CRLNumber(number))]
    if distribution_point is not None:
        found.append(extension(_scope(distribution_point), critical=True))
    return found


def _scope(address: str) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(address)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _entry(line: Line) -> bytes:
    return element(SEQUENCE, integer(line.serial), time(line.revoked), _WHY[line.reason])


# "unspecified" should not be written out (RFC 5280 5.3.1).
_WHY: Mapping[str, bytes] = MappingProxyType(
    {
        name: b"" if name == UNSPECIFIED else element(SEQUENCE, extension(x509.CRLReason(reason)))
        for name, reason in REASONS.items()
    }
)
