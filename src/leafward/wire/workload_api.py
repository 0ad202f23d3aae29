"""The Workload API: how a module gets signatures, secrets, certificates and the trust bundle from the manager.

Plain HTTP/1.1 over a unix socket, JSON bodies, `api-version` in every query. Both ends are here, so that they are
tested against each other: `parse` reads what `to_json` wrote. Who may call for which module is the manager's question.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from leafward.errors import EncodingError
from leafward.wire.api_fields import Fields, moment, to_json
from leafward.wire.base64_text import encode_base64

MAX_REQUEST_BODY = 64 * 1024  # bytes; the largest is base64 of a secret to be encrypted
MAX_RESPONSE_BODY = 1024 * 1024  # bytes; a trust bundle with a few hundred certificates

# Paths as patterns of the server; the calling side fills them by `path`.
MODULES = "/modules"
SIGN = "/modules/{name}/genid/{genid}/sign"
ENCRYPT = "/modules/{name}/genid/{genid}/encrypt"
DECRYPT = "/modules/{name}/genid/{genid}/decrypt"
SERVER_CERTIFICATE = "/modules/{name}/genid/{genid}/certificate/server"
IDENTITY_CERTIFICATE = "/modules/{name}/certificate/identity"
TRUST_BUNDLE = "/trust-bundle"
MANIFEST_TRUST_BUNDLE = "/manifest-trust-bundle"

SIGN_ALGORITHM = "HMACSHA256"
KEY_IDS = ("primary", "secondary")


def path(pattern: str, name: str = "", generation_id: str = "") -> str:
    """`pattern` with its parts filled in, percent-encoded.

    >>> path(SIGN, "$edgeHub", "1")
    '/modules/%24edgeHub/genid/1/sign'
    """
    return pattern.format(name=quote(name, safe=""), genid=quote(generation_id, safe=""))


@dataclass(frozen=True, slots=True)
class SignRequest:
    """HMAC-SHA256 of `data` with the module's key. IoT Edge 1.2 and later ignore which of the keys is named."""

    data: bytes = field(repr=False)
    key_id: str = "primary"
    algorithm: str = SIGN_ALGORITHM

    @classmethod
    def parse(cls, body: bytes) -> "SignRequest":
        """Raises `EncodingError`."""
        fields = _request(body)
        key_id, algorithm = fields.text("keyId", "primary"), fields.text("algo", SIGN_ALGORITHM)
        if key_id not in KEY_IDS:
            raise EncodingError("the keyId is unknown", why=f"got {key_id[:64]!r}, expected {' or '.join(KEY_IDS)}")
        if algorithm.upper() != SIGN_ALGORITHM:
            raise EncodingError("the algo is unknown", why=f"got {algorithm[:64]!r}, expected {SIGN_ALGORITHM}")
        return cls(fields.binary("data"), key_id, SIGN_ALGORITHM)

    def to_json(self) -> bytes:
        return to_json({"keyId": self.key_id, "algo": self.algorithm, "data": encode_base64(self.data)})


@dataclass(frozen=True, slots=True)
class EncryptRequest:
    """A secret to be sealed for this module and generation only."""

    plaintext: bytes = field(repr=False)
    initialization_vector: bytes = field(repr=False)

    @classmethod
    def parse(cls, body: bytes) -> "EncryptRequest":
        """Raises `EncodingError`."""
        fields = _request(body)
        return cls(fields.binary("plaintext"), _vector(fields))

    def to_json(self) -> bytes:
        vector = encode_base64(self.initialization_vector)
        return to_json({"plaintext": encode_base64(self.plaintext), "initializationVector": vector})


@dataclass(frozen=True, slots=True)
class DecryptRequest:
    """A sealed secret to be opened."""

    ciphertext: bytes = field(repr=False)
    initialization_vector: bytes = field(repr=False)

    @classmethod
    def parse(cls, body: bytes) -> "DecryptRequest":
        """Raises `EncodingError`."""
        fields = _request(body)
        return cls(fields.binary("ciphertext"), _vector(fields))

    def to_json(self) -> bytes:
        vector = encode_base64(self.initialization_vector)
        return to_json({"ciphertext": encode_base64(self.ciphertext), "initializationVector": vector})


@dataclass(frozen=True, slots=True)
class ServerCertificateRequest:
    """A server certificate for `common_name`, a host name or an address. `expiration` (UTC) is a wish, or None."""

    common_name: str
    expiration: datetime | None = None

    @classmethod
    def parse(cls, body: bytes) -> "ServerCertificateRequest":
        """Raises `EncodingError`; an empty name is one (IoT Edge 1.1 answers 400 too)."""
        fields = _request(body)
        common_name = fields.text("commonName")
        if not common_name.strip():
            raise EncodingError("the commonName is empty", why="expected the host name of the server")
        return cls(common_name, fields.optional_time("expiration"))

    def to_json(self) -> bytes:
        return to_json(_with_expiration({"commonName": self.common_name}, self.expiration))


@dataclass(frozen=True, slots=True)
class IdentityCertificateRequest:
    """A client certificate for the module itself. The body may be left out."""

    expiration: datetime | None = None

    @classmethod
    def parse(cls, body: bytes) -> "IdentityCertificateRequest":
        """Raises `EncodingError`."""
        return cls(_request(body).optional_time("expiration"))

    def to_json(self) -> bytes:
        return to_json(_with_expiration({}, self.expiration))


@dataclass(frozen=True, slots=True)
class CertificateResponse:
    """A new key (PKCS#8 PEM) and its certificate (PEM, leaf first, then the chain).

    `expiration` is the certificate's notAfter, UTC.
    """

    private_key: bytes = field(repr=False)
    certificate: bytes
    expiration: datetime

    @classmethod
    def parse(cls, body: bytes) -> "CertificateResponse":
        """Raises `EncodingError`, also for a key given by reference (`"type":"ref"`): no manager of ours does."""
        fields = Fields.parse(body, "certificate response", limit=MAX_RESPONSE_BODY)
        key = fields.object("privateKey")
        if key.text("type") != "key":
            raise EncodingError("the private key is not in the response", why="expected the type 'key'")
        return cls(key.text("bytes").encode(), fields.text("certificate").encode(), fields.time("expiration"))

    def to_json(self) -> bytes:
        # The specification says base64; both SDKs and the daemon mean the PEM text itself.
        key = {"type": "key", "bytes": self.private_key.decode("ascii")}
        certificate = self.certificate.decode("ascii")
        return to_json({"privateKey": key, "certificate": certificate, "expiration": moment(self.expiration)})


@dataclass(frozen=True, slots=True)
class BinaryResponse:
    """The one base64 field that sign, encrypt and decrypt answer with."""

    value: bytes = field(repr=False)
    name: str

    @classmethod
    def parse(cls, body: bytes, name: str) -> "BinaryResponse":
        """`name`: "digest", "ciphertext" or "plaintext". Raises `EncodingError`."""
        return cls(Fields.parse(body, "response", limit=MAX_RESPONSE_BODY).binary(name), name)

    def to_json(self) -> bytes:
        return to_json({self.name: encode_base64(self.value)})


def sign_response(digest: bytes) -> bytes:
    """200 of sign."""
    return BinaryResponse(digest, "digest").to_json()


def encrypt_response(ciphertext: bytes) -> bytes:
    """200 of encrypt."""
    return BinaryResponse(ciphertext, "ciphertext").to_json()


def decrypt_response(plaintext: bytes) -> bytes:
    """200 of decrypt."""
    return BinaryResponse(plaintext, "plaintext").to_json()


def trust_bundle_response(bundle: bytes) -> bytes:
    """200 of both trust bundles: PEM text, empty where there is none."""
    return to_json({"certificate": bundle.decode("ascii")})


def parse_trust_bundle(body: bytes) -> bytes:
    """The PEM of a trust bundle. Raises `EncodingError`."""
    return Fields.parse(body, "trust bundle", limit=MAX_RESPONSE_BODY).text("certificate").encode()


def _request(body: bytes) -> Fields:
    return Fields.parse(body, "request", limit=MAX_REQUEST_BODY)


def _vector(fields: Fields) -> bytes:
    vector = fields.binary("initializationVector")
    if not vector:
        raise EncodingError("the initializationVector is empty", why="it must differ for every secret")
    return vector


def _with_expiration(values: dict[str, Any], expiration: datetime | None) -> dict[str, Any]:
    if expiration is not None:
        values["expiration"] = moment(expiration)
    return values
