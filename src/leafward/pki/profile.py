"""Profile: the frozen table of what a certificate of one kind must, may and must not hold. Data, not code.

The issuer reads the table and the rules judge the result; no profile has a method that builds anything. The kinds are
in `profiles/`, one file each.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

BASIC_CONSTRAINTS = ExtensionOID.BASIC_CONSTRAINTS
KEY_USAGE = ExtensionOID.KEY_USAGE
EXTENDED_KEY_USAGE = ExtensionOID.EXTENDED_KEY_USAGE
SUBJECT_ALTERNATIVE_NAME = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
SUBJECT_KEY_IDENTIFIER = ExtensionOID.SUBJECT_KEY_IDENTIFIER
AUTHORITY_KEY_IDENTIFIER = ExtensionOID.AUTHORITY_KEY_IDENTIFIER
NAME_CONSTRAINTS = ExtensionOID.NAME_CONSTRAINTS
CERTIFICATE_POLICIES = ExtensionOID.CERTIFICATE_POLICIES
CRL_DISTRIBUTION_POINTS = ExtensionOID.CRL_DISTRIBUTION_POINTS
AUTHORITY_INFORMATION_ACCESS = ExtensionOID.AUTHORITY_INFORMATION_ACCESS
NO_REV_AVAIL = ObjectIdentifier("2.5.29.56")  # RFC 9608
OCSP_NO_CHECK = ExtensionOID.OCSP_NO_CHECK

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
OCSP_SIGNING = ExtendedKeyUsageOID.OCSP_SIGNING


class Presence(Enum):
    """Whether a certificate has a field."""

    REQUIRED = "must"
    OPTIONAL = "may"
    ABSENT = "must not"


@dataclass(frozen=True, slots=True)
class ExtensionRow:
    """One line of the table: an extension, whether it is there, and whether it is critical."""

    oid: ObjectIdentifier
    presence: Presence
    critical: bool


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """Which names a request may bring. `from_host`: the CN is the first host, or none where that is too long.

    `repeats`: the certificate may repeat the whole name of a CA that has one already, for the same key (cross-signing).
    """

    common_name: Presence = Presence.REQUIRED
    serial_number: Presence = Presence.ABSENT
    hosts: Presence = Presence.ABSENT
    extra_dns: Presence = Presence.ABSENT
    uris: Presence = Presence.ABSENT
    repeats: Presence = Presence.ABSENT
    default_common_name: str | None = None
    from_host: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of certificate. Lifetimes are defaults; each is capped by the issuer's own end.

    `signed_by` names the kinds that may sign it; `issuer_margin` is the time the issuer must have left beyond `now`.
    `path_length` is fixed where it is a number, else it is as asked. `default_key_type` None: as the issuer's key.
    """

    kind: str
    signed_by: frozenset[str]
    ca: bool
    lifetime: timedelta
    key_usage: frozenset[str]
    extensions: tuple[ExtensionRow, ...]
    subject: SubjectRow = SubjectRow()
    extended_key_usage: tuple[ObjectIdentifier, ...] = ()
    key_usage_with_rsa: frozenset[str] = frozenset()
    path_length: int | None = None
    may_never_expire: bool = False
    default_key_type: str | None = "ec-p256"
    issuer_margin: timedelta = timedelta(0)

    def row(self, oid: ObjectIdentifier) -> ExtensionRow | None:
        """The line of an extension; None where the table has none, which means that it must be absent."""
        return next((row for row in self.extensions if row.oid == oid), None)


_MUST, _MAY = Presence.REQUIRED, Presence.OPTIONAL

CA_EXTENSIONS = (
    ExtensionRow(BASIC_CONSTRAINTS, _MUST, critical=True),
    ExtensionRow(KEY_USAGE, _MUST, critical=True),
    ExtensionRow(SUBJECT_KEY_IDENTIFIER, _MUST, critical=False),
    ExtensionRow(AUTHORITY_KEY_IDENTIFIER, _MUST, critical=False),
)
# Where the issuer publishes what it revoked, if it publishes that anywhere. A root has none: nobody revokes it.
REVOCATION_EXTENSIONS = (
    ExtensionRow(CRL_DISTRIBUTION_POINTS, _MAY, critical=False),
    ExtensionRow(AUTHORITY_INFORMATION_ACCESS, _MAY, critical=False),
)
# A CA whose key is elsewhere than its issuer's. The fence is critical (RFC 5280 4.2.1.10); a root has none, because no
# verifier reads it there (RFC 5280 6.1.1 (d)).
FENCED_CA_EXTENSIONS = (
    *CA_EXTENSIONS,
    ExtensionRow(NAME_CONSTRAINTS, _MAY, critical=True),
    ExtensionRow(CERTIFICATE_POLICIES, _MAY, critical=False),
    *REVOCATION_EXTENSIONS,
)
# The operator's own CA: its policies are those of the device CA above it.
OPERATOR_CA_EXTENSIONS = (*CA_EXTENSIONS, ExtensionRow(CERTIFICATE_POLICIES, _MAY, critical=False))
# noRevAvail is in an end-entity certificate of seven days or less, and in no other; none has it beside a place where
# its revocation is told (RFC 9608 sections 3 and 4).
END_ENTITY_EXTENSIONS = (
    ExtensionRow(BASIC_CONSTRAINTS, _MUST, critical=True),
    ExtensionRow(KEY_USAGE, _MUST, critical=True),
    ExtensionRow(EXTENDED_KEY_USAGE, _MUST, critical=False),
    ExtensionRow(SUBJECT_KEY_IDENTIFIER, _MUST, critical=False),
    ExtensionRow(AUTHORITY_KEY_IDENTIFIER, _MUST, critical=False),
    ExtensionRow(CERTIFICATE_POLICIES, _MAY, critical=False),
    *REVOCATION_EXTENSIONS,
    ExtensionRow(NO_REV_AVAIL, _MAY, critical=False),
)
# The SAN becomes critical where the subject is empty (RFC 5280 4.2.1.6).
NAMED_EXTENSIONS = (*END_ENTITY_EXTENSIONS, ExtensionRow(SUBJECT_ALTERNATIVE_NAME, _MUST, critical=False))

CA_KEY_USAGE = frozenset({"key_cert_sign", "crl_sign"})
END_ENTITY_KEY_USAGE = frozenset({"digital_signature"})
