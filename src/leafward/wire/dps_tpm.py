"""What a TPM 2.0 is challenged with: a key that only this TPM can take in, and use without ever showing it.

    TPM2B_ID_OBJECT         } only the TPM with this endorsement key, in which this storage root key is,
    TPM2B_ENCRYPTED_SECRET  } gets the inner key out of them          TPM2_ActivateCredential
    TPM2B_PRIVATE           } the HMAC key, encrypted by the inner key and for the storage root key
    TPM2B_ENCRYPTED_SECRET  }                                          TPM2_Import
    TPM2B_PUBLIC            what kind of key it is
    UINT16                  length of data encrypted for it: none

The order is the provisioning service's (it has no other document than the SDKs that read it); how each is made is the
TPM 2.0 Library's, part 1: 11.4.10.2 KDFa, 23.3 duplication, 24 credential protection, B.4 RSAES_OAEP. Whatever is
random comes in as an argument, but for OAEP's own seed.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from leafward.errors import EncodingError

INNER_KEY_SIZE = 16  # octets: AES-128, what the SDKs import with
LONGEST_PUBLIC = 1024  # octets of a TPM2B_PUBLIC
SMALLEST_RSA, LARGEST_RSA = 2048, 4096  # bits

# TPM 2.0 Library, part 2, 6.3: TPM_ALG_ID.
_RSA, _AES, _HMAC, _KEYEDHASH, _NULL, _CFB = 0x0001, 0x0006, 0x0005, 0x0008, 0x0010, 0x0043
_SHA256 = 0x000B
_HASHES: dict[int, hashes.HashAlgorithm] = {_SHA256: hashes.SHA256(), 0x000C: hashes.SHA384(), 0x000D: hashes.SHA512()}
# Part 2, 8.3.2: TPMA_OBJECT.
_RESTRICTED, _DECRYPT = 1 << 16, 1 << 17
_ATTRIBUTES = 1 << 6 | 1 << 10 | 1 << 18  # userWithAuth, noDA, sign


@dataclass(frozen=True, slots=True)
class TpmPublic:
    """A storage key of a TPM: an endorsement key, or a storage root key. `area` is its TPMT_PUBLIC."""

    area: bytes = field(repr=False)
    name_algorithm: int
    symmetric_bits: int
    key: rsa.RSAPublicKey

    @classmethod
    def parse(cls, data: bytes, what: str) -> "TpmPublic":
        """Reads a TPM2B_PUBLIC (part 2, 12.2.5). Raises `EncodingError` for what is no RSA storage key."""
        try:
            return _parse(data)
        except (struct.error, IndexError, ValueError) as error:
            why = str(error) or "it ends too early"
            hint = f"expected a TPM2B_PUBLIC of an RSA storage key: the {what} as the TPM gives it"
            raise EncodingError(f"the {what} cannot be used", why=why, hint=hint) from error

    @property
    def name(self) -> bytes:
        """The object's name (part 1, 16)."""
        return struct.pack(">H", self.name_algorithm) + _hash(self.name_algorithm, self.area)


@dataclass(frozen=True, slots=True)
class Randomness:
    """What a challenge is made with; all of it fresh. Sizes: `INNER_KEY_SIZE`, and of a digest for the seeds."""

    inner_key: bytes = field(repr=False)
    credential_seed: bytes = field(repr=False)
    duplication_seed: bytes = field(repr=False)
    obfuscation: bytes = field(repr=False)


def digest_size(public: TpmPublic) -> int:
    """Octets of the digest that a key's name is made by: the size of its seeds."""
    return _HASHES[public.name_algorithm].digest_size


def activation(endorsement: TpmPublic, storage: TpmPublic, key: bytes, fresh: Randomness) -> bytes:
    """What the TPM makes `key` of, an HMAC-SHA256 key of 32 octets."""
    area = _key_area(key, fresh.obfuscation)
    credential = _credential(endorsement, storage.name, fresh.inner_key, fresh.credential_seed)
    duplicate = _duplicate(storage, area, key, fresh)
    return credential + duplicate + _sized(area) + struct.pack(">H", 0)


def _credential(endorsement: TpmPublic, name: bytes, inner_key: bytes, seed: bytes) -> bytes:
    """TPM2_MakeCredential (part 1, 24): the inner key for whoever has both keys."""
    algorithm = endorsement.name_algorithm
    identity = _cfb(_storage_key(endorsement, seed, name), _sized(inner_key))
    integrity = _mac(algorithm, _integrity_key(algorithm, seed), identity + name)
    return _sized(_sized(integrity) + identity) + _sized(_encrypted(endorsement, seed, b"IDENTITY\0"))


def _duplicate(storage: TpmPublic, area: bytes, key: bytes, fresh: Randomness) -> bytes:
    """TPM2_Duplicate with an inner and an outer wrapper (part 1, 23.3)."""
    algorithm, seed = storage.name_algorithm, fresh.duplication_seed
    name = struct.pack(">H", _SHA256) + _hash(_SHA256, area)
    # TPMT_SENSITIVE: the kind, no authorisation value, the obfuscation value, the key (part 2, 12.3.2.4).
    sensitive = _sized(struct.pack(">H", _KEYEDHASH) + _sized(b"") + _sized(fresh.obfuscation) + _sized(key))
    inner = _cfb(fresh.inner_key, _sized(_hash(_SHA256, sensitive + name)) + sensitive)
    outer = _cfb(_storage_key(storage, seed, name), inner)
    integrity = _mac(algorithm, _integrity_key(algorithm, seed), outer + name)
    return _sized(_sized(integrity) + outer) + _sized(_encrypted(storage, seed, b"DUPLICATE\0"))


def _key_area(key: bytes, obfuscation: bytes) -> bytes:
    """TPMT_PUBLIC of an HMAC key that may be imported: no policy, and a commitment to the key (part 1, 27.5.3.2)."""
    unique = _hash(_SHA256, obfuscation + key)
    kind = struct.pack(">HHI", _KEYEDHASH, _SHA256, _ATTRIBUTES)
    return kind + _sized(b"") + struct.pack(">HH", _HMAC, _SHA256) + _sized(unique)


def _storage_key(public: TpmPublic, seed: bytes, name: bytes) -> bytes:
    return _kdfa(public.name_algorithm, seed, b"STORAGE", name, public.symmetric_bits)


def _integrity_key(algorithm: int, seed: bytes) -> bytes:
    return _kdfa(algorithm, seed, b"INTEGRITY", b"", _HASHES[algorithm].digest_size * 8)


def _kdfa(algorithm: int, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """Part 1, 11.4.10.2: SP 800-108 in counter mode, over HMAC; the label ends with a zero octet."""
    made, counter = b"", 0
    while len(made) * 8 < bits:
        counter += 1
        fixed = label + b"\0" + context + struct.pack(">I", bits)
        made += _mac(algorithm, key, struct.pack(">I", counter) + fixed)
    return made[: bits // 8]


def _encrypted(public: TpmPublic, seed: bytes, label: bytes) -> bytes:
    """A seed for the holder of an RSA key (part 1, B.4 and B.10.3)."""
    algorithm = _HASHES[public.name_algorithm]
    return public.key.encrypt(seed, padding.OAEP(padding.MGF1(algorithm), algorithm, label))


def _cfb(key: bytes, data: bytes) -> bytes:
    """CFB with a zero IV: the key is used once (part 1, 22.4 and 23.3)."""
    encryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _mac(algorithm: int, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, _HASHES[algorithm].name)


def _hash(algorithm: int, data: bytes) -> bytes:
    return hashlib.new(_HASHES[algorithm].name, data).digest()


def _sized(data: bytes) -> bytes:
    """A TPM2B: octets with their count in two octets before them."""
    return struct.pack(">H", len(data)) + data


def _parse(data: bytes) -> TpmPublic:
    if len(data) > LONGEST_PUBLIC or len(data) < 2 or len(data) != 2 + struct.unpack_from(">H", data)[0]:
        raise ValueError("its length is another than it says")
    area = data[2:]
    kind, name_algorithm, attributes, policy_size = struct.unpack_from(">HHIH", area)
    at = 10 + policy_size
    symmetric, symmetric_bits, mode = struct.unpack_from(">HHH", area, at)
    scheme, bits, exponent, size = struct.unpack_from(">HHIH", area, at + 6)
    modulus = area[at + 16 :]
    if kind != _RSA or name_algorithm not in _HASHES:
        raise ValueError("it is no RSA key, or named by an unknown hash")
    if attributes & (_RESTRICTED | _DECRYPT) != _RESTRICTED | _DECRYPT:
        raise ValueError("it is no storage key: not both restricted and for decryption")
    if (symmetric, mode, scheme) != (_AES, _CFB, _NULL) or symmetric_bits not in (128, 192, 256):
        raise ValueError("it does not protect with AES in CFB mode")
    if len(modulus) != size or size * 8 != bits or not SMALLEST_RSA <= bits <= LARGEST_RSA:
        raise ValueError(f"its modulus has {size * 8} bits, expected {SMALLEST_RSA} to {LARGEST_RSA}")
    key = rsa.RSAPublicNumbers(exponent or 65537, int.from_bytes(modulus, "big")).public_key()
    return TpmPublic(area, name_algorithm, symmetric_bits, key)
