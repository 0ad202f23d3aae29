"""Keys made in a TPM 2.0, which only that TPM can use: `tpm:/etc/leafward/device-ca.tpm`.

The TPM gives a new key out wrapped by its storage primary, and takes it back for use. The wrapped key is kept in a
file of mode 0600, in the form of tpm2-openssl and the kernel (TSS2 PRIVATE KEY). The other way, a persistent handle
inside the TPM, uses up one of few places (seven, on many), has no name, and does away with no file: the reference
would have to be kept all the same. Whoever copies the file has nothing without the TPM; whoever may use the TPM and
read the file can sign, as long as both are in reach.
"""

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from tpm2_pytss import ESAPI, TSS2_Exception
from tpm2_pytss.constants import TPM2_ALG, TPM2_RH, TPM2_ST
from tpm2_pytss.tsskey import TSSPrivKey
from tpm2_pytss.types import TPMT_PUBLIC, TPMT_SIG_SCHEME, TPMT_TK_HASHCHECK

from leafward.disk import PRIVATE, create_file, leftovers, make_folder, remove_file
from leafward.errors import AlreadyExists, KeyUnavailable, RuleViolation, SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Passphrases
from leafward.keys.private_file import read_private
from leafward.keys.sealed_key import SealedEcKey, SealedRsaKey
from leafward.keys.tpm_device import DEVICE
from leafward.pki import key_types

# What the TPM is to make: for signing only, never to leave it, and its own random numbers.
_ATTRIBUTES = "userwithauth|sign|fixedtpm|fixedparent|sensitivedataorigin|noda"
_TEMPLATES: Mapping[str, str] = MappingProxyType({"ec-p256": "ecc256", "ec-p384": "ecc384", "rsa-2048": "rsa2048"})
_HASHES = MappingProxyType({"sha256": TPM2_ALG.SHA256, "sha384": TPM2_ALG.SHA384, "sha512": TPM2_ALG.SHA512})
# The key is not restricted, so the TPM need not have made the digest itself.
_NO_TICKET = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)


@functools.cache
def _scheme(algorithm: int, hash_name: str) -> Any:
    scheme = TPMT_SIG_SCHEME(scheme=algorithm)
    scheme.details.any.hashAlg = _HASHES[hash_name]
    return scheme


class TpmKeyStore:
    """Keys by absolute path of their wrapped form; keeps `KeyStore`'s promises.

    A TPM has P-256 and RSA-2048 keys; many have P-384 too. There is no passphrase to them.
    """

    scheme = "tpm"

    def generate(
        self, reference: KeyReference, key_type: key_types.KeyType, passphrases: Passphrases | None = None
    ) -> key_types.PrivateKey:
        """See `KeyStore.generate`. Missing folders are made, with mode 0700."""
        if passphrases is not None:
            passphrases.refuse_encryption(reference.label)
        path = _path(reference)
        if os.path.lexists(path):
            raise AlreadyExists(f"{path} exists", why="a key is never overwritten", hint="choose another path")
        if key_type.name not in _TEMPLATES:
            why = f"got {key_type.name}, expected one of {', '.join(_TEMPLATES)}"
            raise KeyUnavailable("a TPM makes no such key", why=why)
        wrapped = DEVICE.run(f"a new {key_type}", lambda connection: _make(connection, key_type), again=False)
        make_folder(path.parent)
        create_file(path, wrapped.to_pem(), mode=PRIVATE)
        return _handle(_TpmSigner(reference.label, wrapped))

    def load(self, reference: KeyReference, passphrases: Passphrases | None = None) -> key_types.PrivateKey:
        """See `KeyStore.load`. Whether the TPM takes the key back is asked now, not at the first signature."""
        del passphrases
        signer = _TpmSigner(reference.label, _read(_path(reference)))
        signer.prove()
        return _handle(signer)

    def exists(self, reference: KeyReference) -> bool:
        """See `KeyStore.exists`."""
        return os.path.lexists(_path(reference))

    def delete(self, reference: KeyReference) -> None:
        """See `KeyStore.delete`. Nothing of the key is in the TPM: without the file it is gone."""
        path = _path(reference)
        for leftover in leftovers(path):
            remove_file(leftover)
        remove_file(path)


class _TpmSigner:
    """Signs with one key of the TPM (`sealed_key.Signer`)."""

    def __init__(self, label: str, wrapped: Any) -> None:
        self.label = label
        self._wrapped = wrapped
        self._name = hashlib.sha256(wrapped.to_der()).digest()
        self.public = _public_half(label, wrapped)

    def prove(self) -> None:
        """Raises `KeyUnavailable` when the TPM does not take the key back."""
        DEVICE.run(f"the key {self.label}", self._handle)

    def ecdsa(self, digest: bytes, hash_name: str) -> bytes:
        """TPM2_Sign, scheme ECDSA."""
        return self._sign(digest, hash_name, TPM2_ALG.ECDSA)

    def rsa(self, digest: bytes, hash_name: str, pss_salt_length: int | None) -> bytes:
        """TPM2_Sign, scheme RSASSA or RSAPSS; a TPM's salt is as long as the digest (TPM 2.0 part 1, B.7)."""
        if pss_salt_length not in (None, len(digest)):
            why = f"got a salt of {pss_salt_length} octets, expected {len(digest)}"
            raise KeyUnavailable(f"the key {self.label} cannot sign that", why=why)
        return self._sign(digest, hash_name, TPM2_ALG.RSASSA if pss_salt_length is None else TPM2_ALG.RSAPSS)

    def _sign(self, digest: bytes, hash_name: str, algorithm: int) -> bytes:
        scheme = _scheme(algorithm, hash_name)

        def sign(connection: ESAPI) -> bytes:
            return bytes(connection.sign(self._handle(connection), digest, scheme, _NO_TICKET))

        return DEVICE.run(f"a signature by {self.label}", sign)

    def _handle(self, connection: ESAPI) -> Any:
        return DEVICE.handle(connection, self._name, self._wrapped)


def _handle(signer: _TpmSigner) -> key_types.PrivateKey:
    public = signer.public
    return SealedRsaKey(signer, public) if isinstance(public, rsa.RSAPublicKey) else SealedEcKey(signer, public)


def _path(reference: KeyReference) -> Path:
    if reference.scheme != "tpm" or not reference.rest.startswith("/") or reference.rest.startswith("//"):
        raise SettingsError(
            f"'{reference.label}' is no key of a TPM",
            why="expected tpm: and an absolute path",
            hint="write tpm:/the/whole/path, where the wrapped key is kept",
        )
    return Path(reference.rest)


def _make(connection: ESAPI, key_type: key_types.KeyType) -> Any:
    DEVICE.make_room(connection)
    template = TPMT_PUBLIC.parse(_TEMPLATES[key_type.name], objectAttributes=_ATTRIBUTES)
    return TSSPrivKey.create(connection, template)


def _read(path: Path) -> Any:
    data = read_private(path, "the key")
    try:
        wrapped = TSSPrivKey.from_pem(data)
    except (ValueError, TypeError, TSS2_Exception):
        # `from None`: the cause may quote the file.
        why = "it is not, or not only, a TSS2 PRIVATE KEY in PEM"
        hint = "name the file that holds the TPM's wrapped key"
        raise KeyUnavailable(f"the key {path} cannot be used", why=why, hint=hint) from None
    if not wrapped.empty_auth:
        why = "it wants an authorisation value, and keys here have none"
        raise KeyUnavailable(f"the key {path} cannot be used", why=why, hint="make the key here")
    return wrapped


def _public_half(label: str, wrapped: Any) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    try:
        public = load_der_public_key(wrapped.public.to_der())
        if isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            key_types.key_type_of(public)
            return public
    except (ValueError, UnsupportedAlgorithm, RuleViolation):
        pass
    raise KeyUnavailable(f"the key {label} is of a kind that is not used here", why="expected P-256, P-384 or RSA")
