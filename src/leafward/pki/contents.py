"""What goes into a certificate: a profile's table held against a request gives names, then extensions.

One place, so that the issuer and a faster path make the same bytes. Deny by default: a field that the table does not
have is refused, not dropped, because a name silently left out is found missing only in the field.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from leafward.errors import RequestError, RuleViolation
from leafward.pki.admission import check_key_belongs
from leafward.pki.constraints import (
    NO_RESTRICTIONS,
    Restrictions,
    fence,
    parse_permitted_dns,
    policies_extension,
    policies_of,
)
from leafward.pki.extension import subject_key_id, value
from leafward.pki.key_types import PublicKey
from leafward.pki.names import (
    MAX_COMMON_NAME,
    Host,
    HostName,
    common_name,
    parse_common_name,
    parse_host,
    parse_serial_number,
    subject,
)
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.pki.profile import (
    AUTHORITY_INFORMATION_ACCESS,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    CRL_DISTRIBUTION_POINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    NAME_CONSTRAINTS,
    NO_REV_AVAIL,
    OCSP_NO_CHECK,
    SUBJECT_ALTERNATIVE_NAME,
    SUBJECT_KEY_IDENTIFIER,
    Presence,
    Profile,
)
from leafward.pki.request import CertificateRequest
from leafward.pki.validity import Validity

SHORT_LIFE = timedelta(days=7)  # from now on, back-dating aside: a revocation would hardly be noticed in less
_ASN1_NULL = b"\x05\x00"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")  # RFC 3986 section 3, as far as IA5String needs it
_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names a certificate will carry: subject and SAN."""

    common_name: str | None
    serial_number: str | None
    alternative: tuple[x509.GeneralName, ...]
    repeated: x509.Certificate | None = None
    whole: x509.Name | None = None

    @property
    def subject(self) -> x509.Name:
        """The subject: the whole one where it is given, byte for byte, else CN and serialNumber."""
        return self.whole or subject(self.common_name, self.serial_number)

    @property
    def subject_is_empty(self) -> bool:
        """True where the SAN alone says who it is."""
        return not self.subject.rdns

    def key_identifier(self, public_key: PublicKey) -> x509.SubjectKeyIdentifier:
        """The SKI: a repeated certificate's own, which those below it name; else RFC 5280 4.2.1.2 method 1."""
        if self.repeated and (repeated := subject_key_id(self.repeated)):
            return x509.SubjectKeyIdentifier(repeated)
        return x509.SubjectKeyIdentifier.from_public_key(public_key)


def names_of(profile: Profile, request: CertificateRequest) -> Names:
    """The names that the profile lets the request have.

    Raises `RequestError` for a field too many or missing, `NameFormatError` for one that does not fit, `RuleViolation`
    ("san-missing", "common-name-too-long").
    """
    row = profile.subject
    wanted = request.common_name if request.common_name is not None else row.default_common_name
    _hold(profile, "hosts", row.hosts, bool(request.hosts))
    _hold(profile, "extra_dns", row.extra_dns, bool(request.extra_dns))
    _hold(profile, "uris", row.uris, bool(request.uris))
    _hold(profile, "repeats", row.repeats, request.repeats is not None)
    if request.repeats is not None:
        return _repeated(request, request.repeats)
    _hold(profile, "common_name", row.common_name, wanted is not None)
    _hold(profile, "serial_number", row.serial_number, request.serial_number is not None)
    if row.from_host:
        wanted = _server_common_name(request)
    elif wanted is not None:
        wanted = _fitting_common_name(wanted)
    serial_number = None if request.serial_number is None else parse_serial_number(request.serial_number)
    return Names(wanted, serial_number, tuple(dict.fromkeys(_general_names(request))))


def extensions(
    profile: Profile,
    names: Names,
    public_key: PublicKey,
    *,
    authority: x509.AuthorityKeyIdentifier,
    validity: Validity,
    now: datetime,
    path_length: int | None,
    restrictions: Restrictions = NO_RESTRICTIONS,
    pointers: Pointers = NO_POINTERS,
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """(extension, critical) in the order of the profile's table."""
    unrevoked = _no_rev_avail(validity, now) if profile.row(NO_REV_AVAIL) else None
    values: dict[x509.ObjectIdentifier, x509.ExtensionType | None] = {
        BASIC_CONSTRAINTS: x509.BasicConstraints(profile.ca, path_length if profile.ca else None),
        KEY_USAGE: key_usage(profile, public_key),
        EXTENDED_KEY_USAGE: x509.ExtendedKeyUsage(profile.extended_key_usage) if profile.extended_key_usage else None,
        SUBJECT_ALTERNATIVE_NAME: x509.SubjectAlternativeName(names.alternative) if names.alternative else None,
        NAME_CONSTRAINTS: restrictions.names,
        CERTIFICATE_POLICIES: restrictions.policies,
        SUBJECT_KEY_IDENTIFIER: names.key_identifier(public_key),
        AUTHORITY_KEY_IDENTIFIER: authority,
        CRL_DISTRIBUTION_POINTS: None if unrevoked else pointers.distribution_points,
        AUTHORITY_INFORMATION_ACCESS: None if unrevoked else pointers.information_access,
        NO_REV_AVAIL: unrevoked,
        OCSP_NO_CHECK: x509.OCSPNoCheck(),
    }
    for row in profile.extensions:
        value = values[row.oid]
        if value is None and row.presence is Presence.REQUIRED:
            raise RequestError(f"a {profile.kind} must have the extension {row.oid.dotted_string}", why="it is empty")
        if value is not None:
            critical = row.critical or (row.oid == SUBJECT_ALTERNATIVE_NAME and names.subject_is_empty)
            yield value, critical


def restrictions_of(profile: Profile, request: CertificateRequest, issuer: x509.Certificate | None) -> Restrictions:
    """The fence and the policies that the profile lets the request have; `issuer` None is for a self-signed one.

    What repeats a certificate has that one's. A certificate that asks for no policy and stands below the maker's CAs
    has its issuer's: a policy counts only where every certificate of a path names it (RFC 5280 6.1.3 (d)).
    """
    fenced = bool(request.permit_dns or request.permit_ip)
    _hold(profile, "name constraints", _presence(profile, NAME_CONSTRAINTS), fenced)
    _hold(profile, "policies", _presence(profile, CERTIFICATE_POLICIES), bool(request.policies))
    if request.repeats is not None:
        constraints = value(request.repeats, x509.NameConstraints)
        return Restrictions(constraints, policies_extension(request.policies or policies_of(request.repeats)))
    names = fence(tuple(map(parse_permitted_dns, request.permit_dns)), request.permit_ip)
    inherits = issuer is not None and CERTIFICATE_POLICIES in {row.oid for row in profile.extensions}
    inherited = policies_of(issuer) if issuer is not None and inherits else ()
    return Restrictions(names, policies_extension(request.policies or inherited))


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """What a child says of this issuer's key: its SKI as it stands, or, where it has none, the usual digest."""
    try:
        ski = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return own_key_identifier(issuer.public_key())  # type: ignore[arg-type]  # an issuer's key signs
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)


def own_key_identifier(public_key: PublicKey) -> x509.AuthorityKeyIdentifier:
    """The AKI of a certificate that its own key signs (RFC 5280 4.2.1.2 method 1)."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)


def _presence(profile: Profile, oid: x509.ObjectIdentifier) -> Presence:
    row = profile.row(oid)
    return Presence.ABSENT if row is None else row.presence


def _repeated(request: CertificateRequest, certificate: x509.Certificate) -> Names:
    """Another certificate for a CA that has one: the same name for the same key, or it would be another CA."""
    check_key_belongs(certificate, request.public_key)
    return Names(common_name(certificate.subject), None, (), certificate, certificate.subject)


def _hold(profile: Profile, field: str, presence: Presence, given: bool) -> None:
    if presence is Presence.ABSENT and given:
        hint = "leave it out, or choose another kind of certificate"
        raise RequestError(f"a {profile.kind} certificate has no {field}", why="one was asked for", hint=hint)
    if presence is Presence.REQUIRED and not given:
        if field == "hosts":
            hint = "name the host, or its address, that clients will use"
            raise RuleViolation("san-missing", f"a {profile.kind} certificate without a host name", hint=hint)
        raise RequestError(f"a {profile.kind} certificate needs a {field}", why="none was given")


def _fitting_common_name(text: str) -> str:
    if len(text) > MAX_COMMON_NAME:
        why = f"got {len(text)} characters, expected at most {MAX_COMMON_NAME}"
        raise RuleViolation("common-name-too-long", f"the common name '{text}' is too long", why=why)
    return parse_common_name(text)


def _server_common_name(request: CertificateRequest) -> str | None:
    """A server's CN is one of its hosts, lower-cased, the first unless said; none where it is too long for a CN."""
    hosts = [str(host) for host in request.hosts]
    wanted = (request.common_name or hosts[0]).lower()
    if wanted not in {*hosts, *(text.lower() for text in request.extra_dns)}:
        why = f"got '{wanted}', expected one of {', '.join(hosts)}"
        raise RequestError("the common name is none of the server's hosts", why=why, hint="add it to the hosts")
    return wanted if len(wanted) <= MAX_COMMON_NAME else None


def _general_names(request: CertificateRequest) -> Iterator[x509.GeneralName]:
    for host in request.hosts:
        yield _general_name(host)
    for text in request.extra_dns:
        host = parse_host(text)
        if not isinstance(host, HostName):
            why = "an address is an iPAddress, never a dNSName"
            raise RuleViolation("ip-in-dns-san", f"the address {host} as a DNS name", why=why, hint="name it as a host")
        yield _general_name(host)
    for uri in request.uris:
        if not _URI.fullmatch(uri):
            raise RequestError(f"{uri!r} is no URI", why="expected a scheme, a colon and ASCII without blanks")
        yield x509.UniformResourceIdentifier(uri)


def _general_name(host: Host) -> x509.GeneralName:
    return x509.DNSName(host.text) if isinstance(host, HostName) else x509.IPAddress(host)


def key_usage(profile: Profile, public_key: PublicKey) -> x509.KeyUsage:
    """The key usage of a profile, for a key of this kind."""
    wanted = profile.key_usage
    if isinstance(public_key, rsa.RSAPublicKey):
        wanted |= profile.key_usage_with_rsa
    return x509.KeyUsage(**{usage: usage in wanted for usage in _KEY_USAGES})


def _no_rev_avail(validity: Validity, now: datetime) -> x509.ExtensionType | None:
    if validity.not_after - now > SHORT_LIFE:
        return None
    return x509.UnrecognizedExtension(NO_REV_AVAIL, _ASN1_NULL)
