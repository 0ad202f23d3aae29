"""A certificate request: whose key, and the few fields a profile may take from it.

A PKCS#10 request proves that its sender holds the key (RFC 2986 section 4.2 note 2) and may name hosts. Its other
extensions are never copied; one that asks to be a CA is remembered, so that the issuer refuses it where the profile
is not one.
"""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from leafward.errors import EncodingError, NameFormatError, RequestError, RuleViolation
from leafward.pki.constraints import Network
from leafward.pki.encoding import load_request
from leafward.pki.key_types import PublicKey, key_type_of
from leafward.pki.names import Host, HostName, parse_host
from leafward.pki.pointers import NO_POINTERS, Pointers

# Smaller exponents are broken by careless padding checks (FIPS 186-5 section 5.1 asks for more than 2**16).
MIN_RSA_EXPONENT = 65537
# Octets. The largest request of a key type in use here (ml-dsa-87, as PEM, with names) has less than half of it.
MAX_REQUEST = 32 * 1024


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What is asked for. The issuer holds it against a profile; nothing here is granted yet.

    `hosts` become dNSName and iPAddress entries, `extra_dns` further dNSName entries (a module's), `uris` the
    uniformResourceIdentifier entries. `asks_for_ca` is True where a PKCS#10 request wanted CA:TRUE or keyCertSign.
    `permit_dns` and `permit_ip` fence a CA to these names, `policies` are what it works under; none of the three is
    ever taken from a PKCS#10 request. `repeats` is a CA certificate whose whole name, key identifier and fence the new
    one repeats for the same key, under another issuer: it is cross-signed. `pointers` are the issuer's to give.
    """

    public_key: PublicKey
    common_name: str | None = None
    hosts: tuple[Host, ...] = ()
    extra_dns: tuple[str, ...] = ()
    serial_number: str | None = None
    uris: tuple[str, ...] = ()
    asks_for_ca: bool = False
    permit_dns: tuple[str, ...] = ()
    permit_ip: tuple[Network, ...] = ()
    policies: tuple[x509.ObjectIdentifier, ...] = ()
    repeats: x509.Certificate | None = None
    pointers: Pointers = NO_POINTERS

    @classmethod
    def from_csr(cls, data: bytes) -> Self:
        """A PKCS#10 request, PEM or DER.

        Raises `EncodingError` where it does not decode, `RequestError` where it is not signed by its own key or names
        what no certificate here has (a wildcard, an address as dNSName), `RuleViolation` for a weak key or signature.
        """
        _refuse_large(data)
        try:
            with warnings.catch_warnings():
                # A country of three letters is odd, and nobody here takes it from a request.
                warnings.simplefilter("ignore", UserWarning)
                return cls._of(load_request(data))
        except (ValueError, x509.InvalidVersion) as error:
            # `cryptography` decodes late: a broken name shows only when it is read.
            raise EncodingError("the certificate request does not decode", why=str(error)) from error

    @classmethod
    def _of(cls, csr: x509.CertificateSigningRequest) -> Self:
        key = _proven_key(csr)
        extensions = _extensions(csr)
        hosts, uris = _alternative_names(extensions)
        return cls(
            public_key=key,
            common_name=_common_name(csr.subject),
            hosts=hosts,
            serial_number=_single(csr.subject, NameOID.SERIAL_NUMBER, "serial number"),
            uris=uris,
            asks_for_ca=_asks_for_ca(extensions),
        )


def _refuse_large(data: bytes) -> None:
    if len(data) > MAX_REQUEST:
        why = f"got {len(data)} bytes, expected at most {MAX_REQUEST}"
        raise RequestError("the certificate request is too large", why=why, hint="give the file with the request alone")


def check_key(public_key: object) -> None:
    """Raises `RuleViolation` ("weak-key", "unsupported-algorithm") for a key that no certificate should be given."""
    key_type_of(public_key)
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.public_numbers().e < MIN_RSA_EXPONENT:
        why = f"got the public exponent {public_key.public_numbers().e}, expected 65537"
        raise RuleViolation("weak-key", "the RSA key has a small exponent", why=why, hint="make the key anew")


def _proven_key(csr: x509.CertificateSigningRequest) -> PublicKey:
    hint = "make the request again with the key it is for: openssl req -new -key KEY -out REQUEST"
    try:
        key, valid = csr.public_key(), csr.is_signature_valid
        weak = isinstance(csr.signature_hash_algorithm, hashes.MD5 | hashes.SHA1)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RuleViolation("unsupported-algorithm", "a request with an algorithm not used here", hint=hint) from error
    check_key(key)
    if weak:  # before the signature, which some builds of OpenSSL do not even try to verify then
        raise RuleViolation("weak-signature", "the request is signed with SHA-1 or MD5", hint="sign it with SHA-256")
    if not valid:
        raise RequestError("the request is not signed by its own key", why="its signature does not verify", hint=hint)
    return key  # type: ignore[return-value]  # check_key has narrowed it


def _extensions(csr: x509.CertificateSigningRequest) -> x509.Extensions:
    try:
        return csr.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise RequestError("the request's extensions do not decode", why=str(error)) from error


def _single(name: x509.Name, oid: x509.ObjectIdentifier, words: str) -> str | None:
    found = name.get_attributes_for_oid(oid)
    if len(found) > 1:
        raise RequestError(f"the request has more than one {words}", why=f"got {len(found)}", hint="name one")
    return str(found[0].value) if found else None


def _common_name(name: x509.Name) -> str | None:
    text = _single(name, NameOID.COMMON_NAME, "common name")
    if text is not None and text.startswith("*."):
        why = "a wildcard stands for every host of a domain, and no certificate here does"
        raise RequestError(f"the request asks for the name {text!r}", why=why, hint="name one host")
    return text


def _asks_for_ca(extensions: x509.Extensions) -> bool:
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            return True
        if isinstance(value, x509.KeyUsage) and value.key_cert_sign:
            return True
    return False


def _alternative_names(extensions: x509.Extensions) -> tuple[tuple[Host, ...], tuple[str, ...]]:
    """(hosts, URIs) of the SAN, the only extension that is read for its contents."""
    try:
        names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return (), ()
    uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    hosts = _hosts(name for name in names if not isinstance(name, x509.UniformResourceIdentifier))
    return tuple(dict.fromkeys(hosts)), tuple(dict.fromkeys(uris))


def _hosts(names: Iterable[x509.GeneralName]) -> Iterator[Host]:
    for name in names:
        if isinstance(name, x509.DNSName):
            yield _dns_host(name.value)
        elif isinstance(name, x509.IPAddress) and isinstance(name.value, IPv4Address | IPv6Address):
            yield name.value
        else:
            kind = type(name).__name__
            why = f"got {kind}, expected DNSName, IPAddress or UniformResourceIdentifier"
            raise RequestError("the request asks for a kind of name that is not given", why=why, hint="leave it out")


def _dns_host(text: str) -> HostName:
    try:
        host = parse_host(text)
    except NameFormatError as error:
        raise RequestError(f"the request asks for the name {text!r}", why=str(error), hint=error.hint) from error
    if not isinstance(host, HostName):
        raise RequestError(f"the request has the address {host} as a dNSName", hint="ask for it as an iPAddress")
    return host
