"""What a certificate's extensions say, read without ever failing: a rule judges a broken certificate, it never crashes.

An extension that cannot be read counts as absent here, and `problem` says why; the rule `extension-malformed` refuses
such a certificate, so that nothing is accepted because it could not be read.
"""

import warnings
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

ExtensionValue = TypeVar("ExtensionValue", bound=x509.ExtensionType)

_NONE = x509.Extensions([])


def extensions(certificate: x509.Certificate) -> x509.Extensions:
    """All extensions, or none at all where they cannot be read (malformed, or one given twice: RFC 5280 4.2)."""
    return _NONE if problem(certificate) else certificate.extensions


def problem(certificate: x509.Certificate) -> str | None:
    """Why the extensions cannot be read; None where they can."""
    try:
        certificate.extensions  # noqa: B018 - reading is the test
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        return str(error) or type(error).__name__
    return None


def unreadable(certificate: x509.Certificate) -> str | None:
    """Why a name, a date or the like cannot be read; None where all can. Decoding is lazy, so damage shows late."""
    try:
        for one in (certificate.subject, certificate.issuer):
            one.public_bytes()
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.version
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        return str(error) or type(error).__name__
    return None


def extension(certificate: x509.Certificate, kind: type[ExtensionValue]) -> x509.Extension[ExtensionValue] | None:
    """The extension of one kind with its criticality; None where it is absent."""
    try:
        return extensions(certificate).get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def value(certificate: x509.Certificate, kind: type[ExtensionValue]) -> ExtensionValue | None:
    """The value of one extension; None where it is absent."""
    found = extension(certificate, kind)
    return None if found is None else found.value


def says_ca(certificate: x509.Certificate) -> bool:
    """True where basicConstraints has CA:TRUE (RFC 5280 4.2.1.9)."""
    constraints = value(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def path_length(certificate: x509.Certificate) -> int | None:
    """The pathLenConstraint: how many CA certificates may stand between this one and the leaf; None is no limit."""
    constraints = value(certificate, x509.BasicConstraints)
    return None if constraints is None else constraints.path_length


def subject_key_id(certificate: x509.Certificate) -> bytes | None:
    """The key identifier of the certificate's own key (RFC 5280 4.2.1.2)."""
    found = value(certificate, x509.SubjectKeyIdentifier)
    return None if found is None else found.digest


def authority_key_id(certificate: x509.Certificate) -> bytes | None:
    """The key identifier of the key that signed the certificate (RFC 5280 4.2.1.1)."""
    found = value(certificate, x509.AuthorityKeyIdentifier)
    return None if found is None else found.key_identifier


def purposes(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier] | None:
    """The extended key usages; None where the extension is absent, which allows every use (RFC 5280 4.2.1.12)."""
    found = value(certificate, x509.ExtendedKeyUsage)
    return None if found is None else frozenset(found)


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The dNSName entries of the SAN, as written."""
    found = value(certificate, x509.SubjectAlternativeName)
    return () if found is None else tuple(found.get_values_for_type(x509.DNSName))


def addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """The iPAddress entries of the SAN, in their usual text form."""
    found = value(certificate, x509.SubjectAlternativeName)
    return () if found is None else tuple(map(str, found.get_values_for_type(x509.IPAddress)))


def serial_number(certificate: x509.Certificate) -> int:
    """The serial number, whatever it is: `cryptography` warns of zero and negative ones; a rule says it better."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return certificate.serial_number


def common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Every common name of the subject: one as a rule, but a hostile certificate may have several."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(one.value for one in found if isinstance(one.value, str))
