"""What a client may have: its request held against who it is. Values in, a ruling or an error out; nothing is signed.

The name is the credential's, never the request's: a request may repeat it or leave it out, and another one is refused
(RFC 7030 3.7: authorisation). A renewal keeps subject and alternative names as they are (RFC 7030 4.2.2).
"""

from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from leafward.authority.est_clients import IDENTITY, AccountClient, CertificateClient, Client
from leafward.authority.est_labels import Label
from leafward.errors import AccessDenied, RequestError
from leafward.pki.bulk_request import BulkRequest
from leafward.pki.encoding import load_request
from leafward.pki.key_types import PublicKey
from leafward.pki.names import common_name, parse_device_id
from leafward.pki.profile import Presence
from leafward.pki.request import CertificateRequest
from leafward.wire.est.key_delivery import asks_for_encrypted_key
from leafward.wire.est.linking import check_linking

# Encoded identifiers, to see without decoding that an attribute is not there: challengePassword (RFC 2985 5.4.1) and
# ChangeSubjectName (RFC 6402 2.8).
_CHALLENGE_PASSWORD = bytes.fromhex("06092a864886f70d010907")
_CHANGE_SUBJECT_NAME = bytes.fromhex("06082b06010505070724")


@dataclass(slots=True, eq=False)  # frozen would cost a microsecond each
class Enrolment:
    """A request as it came: `der` is the PKCS#10 request, `bindings` the connection's channel bindings.

    `renewal`: simplereenroll. `made_key` is the public half of a key made here, for serverkeygen.
    """

    label: Label
    client: Client
    der: bytes = field(repr=False)
    renewal: bool = False
    bindings: tuple[bytes, ...] = field(default=(), repr=False)
    made_key: PublicKey | None = None


@dataclass(slots=True, eq=False)  # frozen would cost a microsecond each
class Ruling:
    """What will be issued: for which key, under which name, and whether it takes the place of who lives there."""

    request: BulkRequest
    name: str
    replaces: bool


def is_linked_or_changed(der: bytes) -> bool:
    """True where a request may have an attribute that this room looks at: most have none, and are not decoded twice."""
    return _CHALLENGE_PASSWORD in der or _CHANGE_SUBJECT_NAME in der


def rule(asked: Enrolment, request: BulkRequest) -> Ruling:
    """What `asked` may have. `request` is the same request, read, its signature verified.

    Raises `RequestError` or `NameFormatError` for what nobody may ask, `AccessDenied` for what this client may not.
    """
    if is_linked_or_changed(asked.der):
        _check_attributes(asked, load_request(asked.der))
    name = request.common_name if request.common_name is not None else asked.client.only_device
    if name is None:
        raise RequestError("the request names no device", why="it has no common name", hint="put the name into it")
    if not asked.client.covers(name):
        why = f"it asks for the name {name!r}"
        raise AccessDenied("this credential is for another device", why=why, hint="ask with that device's own")
    if isinstance(asked.client, AccountClient):
        parse_device_id(name)  # a pattern must not let through what no device can be called
    return Ruling(_with_serial_number(asked, request), name, isinstance(asked.client, CertificateClient))


def check_renewal(asked: Enrolment, renewed: x509.Certificate | None) -> None:
    """A renewal is of a certificate that lives, by its holder, and changes no name. Raises as `rule`."""
    if renewed is None:
        raise RequestError("there is nothing to renew", why="no such certificate lives", hint="use simpleenroll")
    csr = load_request(asked.der)
    if _names(csr) != _names(renewed):
        raise RequestError(
            "the request's names are not those of the certificate to be renewed",
            why=f"got '{csr.subject.rfc4514_string()}', expected '{renewed.subject.rfc4514_string()}' and the same SAN",
            hint="repeat the subject and the alternative names as they are (RFC 7030 4.2.2)",
        )


def renewed_by(asked: Enrolment) -> x509.Certificate | None:
    """The certificate that a client renews by presenting it; None for a CA's, which its device's identity renews.

    Raises `AccessDenied` where neither is the case: who renews shows what is renewed (RFC 7030 3.3.2).
    """
    client, wanted = asked.client, asked.label.profile
    if isinstance(client, AccountClient):
        raise AccessDenied("a password renews nothing", hint="present the certificate that is to be renewed")
    if client.kind == wanted.kind:
        return client.certificate
    if wanted.ca and client.kind == IDENTITY:
        return None
    why = f"got a {client.kind}, expected a {wanted.kind}"
    raise AccessDenied("this is not the certificate to be renewed", why=why, hint="present it, or use simpleenroll")


def request_for(made_key: PublicKey, der: bytes) -> BulkRequest:
    """A serverkeygen request: the names of the PKCS#10 request, the key made here.

    Its own key and signature count for nothing (RFC 7030 4.4.1). Raises `RequestError` where it wants the key
    encrypted, or alternative names.
    """
    csr = load_request(der)
    if asks_for_encrypted_key(csr):
        why, hint = "the key is sent as PKCS#8, protected by TLS alone", "leave the DecryptKeyIdentifier out"
        raise RequestError("keys are not encrypted further here", why=why, hint=hint)
    try:
        extensions = list(csr.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise RequestError("the request's extensions do not decode", why=str(error)) from error
    if any(isinstance(one.value, x509.SubjectAlternativeName) for one in extensions):
        raise RequestError("a request for a key made here has alternative names", hint="leave them out")
    asks_for_ca = any(isinstance(one.value, x509.BasicConstraints) and one.value.ca for one in extensions)
    serial = csr.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    names = CertificateRequest(
        public_key=made_key,
        common_name=common_name(csr.subject),
        serial_number=str(serial[0].value) if serial else None,
        asks_for_ca=asks_for_ca,
    )
    return BulkRequest.of(names)


def has_key(certificate: x509.Certificate, request: BulkRequest) -> bool:
    """Whether a certificate is for the request's key: then the same request came again, because its answer was lost."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key == request.spki


def _check_attributes(asked: Enrolment, csr: x509.CertificateSigningRequest) -> None:
    check_linking(csr, asked.bindings)
    if any(attribute.oid.dotted_string == "1.3.6.1.5.5.7.7.36" for attribute in csr.attributes):
        raise RequestError("names do not change here", why="it has a ChangeSubjectName", hint="leave it out")


def _with_serial_number(asked: Enrolment, request: BulkRequest) -> BulkRequest:
    """The request with its holder's serial number where the kind has one; another's is refused."""
    client = asked.client
    if not isinstance(client, CertificateClient) or asked.label.profile.subject.serial_number is Presence.ABSENT:
        return request
    if request.serial_number is None and client.serial_number is not None:
        full = replace(request.in_full(), serial_number=client.serial_number)
        return BulkRequest.of(full)
    if request.serial_number != client.serial_number:
        why = f"it asks for the serial number {request.serial_number!r}"
        raise AccessDenied("this credential is for another device", why=why, hint="ask with that device's own")
    return request


def _names(holder: x509.Certificate | x509.CertificateSigningRequest) -> tuple[object, ...]:
    """Subject and SAN, to be compared: text by its characters, not by the string type that carries it."""
    subject = tuple((attribute.oid, attribute.value) for attribute in holder.subject)
    try:
        alternative = frozenset(holder.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternative = frozenset()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise RequestError("the request's extensions do not decode", why=str(error)) from error
    return subject, alternative
