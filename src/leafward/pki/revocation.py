"""Revocation by CRL: which list speaks for a certificate, whether it may be believed, and what it says.

A list that is given and cannot be believed is a refusal, never ignored: somebody wanted the check made. So is it where
the issuer's lists that are given all speak for other certificates (another part of its list, RFC 5280 6.3.3 (b)). An
issuer without any list is not judged here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from leafward.pki.extension import says_ca, serial_number, subject_key_id, value
from leafward.pki.link import Link
from leafward.pki.pointers import list_names

RevocationList: TypeAlias = x509.CertificateRevocationList

# Reasons by their names in RFC 5280 5.3.1. An entry without one is "unspecified"; a hold can be taken back.
UNSPECIFIED = x509.ReasonFlags.unspecified.value
HOLD, REMOVED = x509.ReasonFlags.certificate_hold.value, x509.ReasonFlags.remove_from_crl.value


class Standing(StrEnum):
    """What the lists say of one certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    EXPIRED = "list expired"
    UNUSABLE = "list unusable"


@dataclass(frozen=True, slots=True)
class Answer:
    """A standing, and in `detail` the date and reason of a revocation, or what is wrong with the list."""

    standing: Standing
    detail: str


def look_up(link: Link, crls: Sequence[RevocationList], now: datetime) -> Answer | None:
    """The worst that the lists of the link's issuer say of its child; None where no list is theirs. `now` is aware UTC.

    A revocation counts however old the list is; otherwise the newest list decides (RFC 5280 6.3.3).
    """
    issuers = [crl for crl in crls if _is_of(crl, link) and _is_of_its_kind(crl, link)]
    theirs = [crl for crl in issuers if _covers(crl, link)]
    if not theirs:
        return Answer(Standing.UNUSABLE, _ANOTHER_PART) if issuers else None
    answers = [_ask(crl, link, now) for crl in theirs]
    for answer in answers:
        if answer.standing is Standing.REVOKED:
            return answer
    return answers[theirs.index(max(theirs, key=lambda crl: crl.last_update_utc))]


_ANOTHER_PART = "the issuer's lists that were given speak for other certificates (their distribution points differ)"


def _is_of(crl: RevocationList, link: Link) -> bool:
    """The list bears the issuer's name, and does not name another key of it: after a rollover two keys have one name.

    RFC 5280 6.3.3 (c), (f).
    """
    if crl.issuer.public_bytes() != link.child.issuer.public_bytes():
        return False
    asked, had = _key_id(crl), subject_key_id(link.issuer)
    return asked is None or had is None or asked == had


def _covers(crl: RevocationList, link: Link) -> bool:
    """A list with a distribution point covers those certificates alone that name it (RFC 5280 6.3.3 (b) (2) (i))."""
    scope = _scope(crl)
    if scope is None or (scope.full_name is None and scope.relative_name is None):
        return True
    return not list_names(link.child).isdisjoint(scope.full_name or ())


def _is_of_its_kind(crl: RevocationList, link: Link) -> bool:
    """The list is for certificates of the child's kind (RFC 5280 6.3.3 (b) (2) (ii), (iii))."""
    scope = _scope(crl)
    if scope is None:
        return True
    if scope.only_contains_attribute_certs:
        return False
    return not (scope.only_contains_ca_certs if not says_ca(link.child) else scope.only_contains_user_certs)


def _ask(crl: RevocationList, link: Link, now: datetime) -> Answer:
    if why := fault_of(crl, link.issuer, now):
        return Answer(Standing.UNUSABLE, why)
    entry = crl.get_revoked_certificate_by_serial_number(serial_number(link.child))
    if entry is not None and (reason := _reason(entry)) != REMOVED:
        return Answer(Standing.REVOKED, f"revoked at {_text(entry.revocation_date_utc)}, reason {reason}")
    if crl.next_update_utc is not None and now.replace(microsecond=0) > crl.next_update_utc:
        return Answer(
            Standing.EXPIRED, f"the list of {_text(crl.last_update_utc)} ended at {_text(crl.next_update_utc)}"
        )
    return Answer(Standing.GOOD, f"not in the list of {_text(crl.last_update_utc)}")


def fault_of(crl: RevocationList, issuer: x509.Certificate, now: datetime) -> str | None:
    """Why a list of `issuer`'s cannot be believed (RFC 5280 6.3.3 (f), (g), 5.2); None: it can. `now` is aware UTC."""
    usage = value(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return "its issuer may not sign lists (keyUsage without cRLSign)"
    if crl.last_update_utc > now:
        return f"it begins at {_text(crl.last_update_utc)}, which is still to come"
    if (why := _unreadable(crl)) is not None:
        return why
    if not _signed(crl, issuer):
        return "its signature was not made by the issuer's key"
    return None


def _unreadable(crl: RevocationList) -> str | None:
    try:
        unknown = [one.oid.dotted_string for one in crl.extensions if one.critical and one.oid != _SCOPE_OID]
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"its extensions cannot be read ({error})"
    if unknown:
        return f"it has the critical extension {unknown[0]}"  # a delta list among others, RFC 5280 5.2.4
    scope = _scope(crl)
    if scope is not None and (scope.indirect_crl or scope.only_some_reasons):
        return "it covers other issuers, or some reasons only"
    return None


_SCOPE_OID = x509.IssuingDistributionPoint.oid


def _scope(crl: RevocationList) -> x509.IssuingDistributionPoint | None:
    try:
        return crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _key_id(crl: RevocationList) -> bytes | None:
    try:
        return crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return None


def _signed(crl: RevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # other kinds raise TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        return UNSPECIFIED


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
