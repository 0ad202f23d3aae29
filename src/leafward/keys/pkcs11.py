"""Keys in a PKCS#11 token: made in it, never out of it. `pkcs11:token=maker;object=root?pin-source=file:/etc/pin`."""

from contextlib import suppress
from types import MappingProxyType
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11.constants import Attribute
from pkcs11.mechanisms import MGF, Mechanism

from leafward.errors import KeyUnavailable, NotFound, SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Passphrases, in_use
from leafward.keys.pkcs11_objects import (
    MADE_HERE,
    attribute_of,
    destroy,
    make,
    private_key,
    public_half,
    some_private_keys,
)
from leafward.keys.pkcs11_token import Token, token_of
from leafward.keys.pkcs11_uri import Pkcs11Uri
from leafward.keys.sealed_key import SealedEcKey, SealedEd25519Key, SealedRsaKey
from leafward.pki import key_types

# DER DigestInfo before the digest (RFC 8017 9.2, note 1); and what PSS is told of the hash.
_DIGEST_INFO = MappingProxyType(
    {
        "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
        "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
        "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
    }
)
_PSS = MappingProxyType(
    {
        "sha256": (Mechanism.SHA256, MGF.SHA256),
        "sha384": (Mechanism.SHA384, MGF.SHA384),
        "sha512": (Mechanism.SHA512, MGF.SHA512),
    }
)
_LONGEST_SIGNATURE = 512  # RSA-4096


class Pkcs11KeyStore:
    """Keys by RFC 7512 reference; keeps `KeyStore`'s promises.

    Not extractable, sensitive, for signing only. A name is unique within this process by its lock; between processes
    that make the same name at the same instant, at most one succeeds.
    """

    scheme = "pkcs11"

    def generate(
        self, reference: KeyReference, key_type: key_types.KeyType, passphrases: Passphrases | None = None
    ) -> key_types.PrivateKey:
        """See `KeyStore.generate`. The reference needs `object`, the new key's label."""
        uri = Pkcs11Uri.parse(reference)
        if uri.object is None:
            raise SettingsError(f"'{uri.label}' gives the new key no name", why="expected object=NAME")
        if key_type.name not in MADE_HERE:
            why = f"got {key_type.name}, expected one of {', '.join(MADE_HERE)}"
            raise KeyUnavailable("tokens make no such key here", why=why)
        if passphrases is not None:
            passphrases.refuse_encryption(uri.label)
        token, secrets_of = token_of(uri), passphrases or in_use()
        public = token.run(lambda session: make(session, uri, key_type), uri, secrets_of, again=False)
        return _handle(token, uri, secrets_of, public)

    def load(self, reference: KeyReference, passphrases: Passphrases | None = None) -> key_types.PrivateKey:
        """See `KeyStore.load`. Wants the key's public half in the token too."""
        uri = Pkcs11Uri.parse(reference)
        token, secrets_of = token_of(uri), passphrases or in_use()
        public = token.run(lambda session: public_half(session, private_key(session, uri), uri), uri, secrets_of)
        return _handle(token, uri, secrets_of, public)

    def exists(self, reference: KeyReference) -> bool:
        """See `KeyStore.exists`. Private keys are seen only after a login."""
        uri = Pkcs11Uri.parse(reference)
        try:
            token_of(uri).run(lambda session: some_private_keys(session, uri), uri, in_use())
        except NotFound:
            return False
        return True

    def delete(self, reference: KeyReference) -> None:
        """See `KeyStore.delete`. Destroys the private key and the public half beside it.

        A token that is away shows itself as an empty one: that a key is gone is believed after a second look.
        """
        uri = Pkcs11Uri.parse(reference)
        with suppress(NotFound):
            token_of(uri).run(lambda session: destroy(session, uri), uri, in_use())


class _TokenSigner:
    """Signs with one key of a token (`sealed_key.Signer`)."""

    def __init__(self, token: Token, uri: Pkcs11Uri, passphrases: Passphrases, public: key_types.PublicKey) -> None:
        self.label = uri.label
        self._token = token
        self._uri = uri
        self._passphrases = passphrases
        self._public = public
        self._octets = (getattr(public, "key_size", 0) + 7) // 8
        self._session: Any = None
        self._key: Any = None
        self._wants_pin = False

    def ecdsa(self, digest: bytes, hash_name: str) -> bytes:
        """CKM_ECDSA takes as much of a digest as the curve is wide, and gives r and s side by side."""
        del hash_name
        signature = self._sign(digest[: self._octets], Mechanism.ECDSA)
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))

    def rsa(self, digest: bytes, hash_name: str, pss_salt_length: int | None) -> bytes:
        """CKM_RSA_PKCS over a DigestInfo, or CKM_RSA_PKCS_PSS."""
        if pss_salt_length is None:
            return self._sign(_DIGEST_INFO[hash_name] + digest, Mechanism.RSA_PKCS)
        return self._sign(digest, Mechanism.RSA_PKCS_PSS, (*_PSS[hash_name], pss_salt_length))

    def eddsa(self, data: bytes) -> bytes:
        """CKM_EDDSA without parameters: pure Ed25519 (PKCS#11 3.0, 2.3.14)."""
        return self._sign(data, Mechanism.EDDSA)

    def _sign(self, data: bytes, mechanism: Mechanism, parameter: object = None) -> bytes:
        def sign(session: Any) -> bytes:
            if session is not self._session:
                self._find(session)
            pin = self._token.pin(self._uri, self._passphrases).text if self._wants_pin else None
            how = {"mechanism": mechanism, "mechanism_param": parameter, "buffer_size": _LONGEST_SIGNATURE}
            return cast("bytes", self._key.sign(data, pin=pin, **how))

        return self._token.run(sign, self._uri, self._passphrases)

    def _find(self, session: Any) -> None:
        """The key in a new session: the same one, or an error."""
        key = private_key(session, self._uri)
        if public_half(session, key, self._uri) != self._public:
            raise KeyUnavailable(f"the key {self.label} is another one now", hint="start this program again")
        self._wants_pin = bool(attribute_of(key, Attribute.ALWAYS_AUTHENTICATE))
        self._key, self._session = key, session


def _handle(token: Token, uri: Pkcs11Uri, passphrases: Passphrases, public: Any) -> key_types.PrivateKey:
    signer = _TokenSigner(token, uri, passphrases, public)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return SealedEd25519Key(signer, public)
    return SealedRsaKey(signer, public) if isinstance(public, rsa.RSAPublicKey) else SealedEcKey(signer, public)
