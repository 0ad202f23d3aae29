"""What a TPM 2.0 is challenged with: a key that only this TPM can take in, and use without ever showing it.

    TPM2B_ID_OBJECT         } only the TPM with this endorsement key, in which this storage root key is,
    TPM2B_ENCRYPTED_SECRET  } gets the inner key out of them          TPM2_ActivateCredential
    TPM2B_PRIVATE           } the HMAC key, encrypted by the inner key and for the storage root key
    TPM2B_ENCRYPTED_SECRET  }                                          TPM2_Import
    TPM2B_PUBLIC            what kind of key it is
    UINT16                  length of data encrypted for it: none

The order is the provisioning service's (it has no other document than the SDKs that read it); how each is made is the
TPM 2.0 Library's, part 1: 11.4.10.2 KDFa, 23.3 duplication, 24 credential protection. Whatever is random comes in as an
argument, but for OAEP's own seed.
"""

import hmac
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from leafward.wire.dps_tpm_public import HASHES, SHA256, TpmPublic, digest, sized

INNER_KEY_SIZE = 16  # octets: AES-128, what the SDKs import with

# TPM 2.0 Library, part 2, 6.3: TPM_ALG_ID.
_HMAC, _KEYEDHASH = 0x0005, 0x0008
# Part 2, 8.3.2: TPMA_OBJECT.
_ATTRIBUTES = 1 << 6 | 1 << 10 | 1 << 18  # userWithAuth, noDA, sign


@dataclass(frozen=True, slots=True)
class Randomness:
    """What a challenge is made with; all of it fresh.

    Octets: `INNER_KEY_SIZE`, `TpmPublic.randomness` of the endorsement key and of the storage root key, and 32.
    """

    inner_key: bytes = field(repr=False)
    credential: bytes = field(repr=False)
    duplication: bytes = field(repr=False)
    obfuscation: bytes = field(repr=False)


def activation(endorsement: TpmPublic, storage: TpmPublic, key: bytes, fresh: Randomness) -> bytes:
    """What the TPM makes `key` of, an HMAC-SHA256 key of 32 octets."""
    area = _key_area(key, fresh.obfuscation)
    credential = _credential(endorsement, storage.name, fresh.inner_key, fresh.credential)
    duplicate = _duplicate(storage, area, key, fresh)
    return credential + duplicate + sized(area) + struct.pack(">H", 0)


def _credential(endorsement: TpmPublic, name: bytes, inner_key: bytes, random: bytes) -> bytes:
    """TPM2_MakeCredential (part 1, 24): the inner key for whoever has both keys."""
    algorithm = endorsement.name_algorithm
    seed, encrypted = endorsement.secret(random, b"IDENTITY")
    identity = _cfb(_storage_key(endorsement, seed, name), sized(inner_key))
    integrity = _mac(algorithm, _integrity_key(algorithm, seed), identity + name)
    return sized(sized(integrity) + identity) + encrypted


def _duplicate(storage: TpmPublic, area: bytes, key: bytes, fresh: Randomness) -> bytes:
    """TPM2_Duplicate with an inner and an outer wrapper (part 1, 23.3)."""
    algorithm = storage.name_algorithm
    seed, encrypted = storage.secret(fresh.duplication, b"DUPLICATE")
    name = struct.pack(">H", SHA256) + digest(SHA256, area)
    # TPMT_SENSITIVE: the kind, no authorisation value, the obfuscation value, the key (part 2, 12.3.2.4).
    sensitive = sized(struct.pack(">H", _KEYEDHASH) + sized(b"") + sized(fresh.obfuscation) + sized(key))
    inner = _cfb(fresh.inner_key, sized(digest(SHA256, sensitive + name)) + sensitive)
    outer = _cfb(_storage_key(storage, seed, name), inner)
    integrity = _mac(algorithm, _integrity_key(algorithm, seed), outer + name)
    return sized(sized(integrity) + outer) + encrypted


def _key_area(key: bytes, obfuscation: bytes) -> bytes:
    """TPMT_PUBLIC of an HMAC key that may be imported: no policy, and a commitment to the key (part 1, 27.5.3.2)."""
    unique = digest(SHA256, obfuscation + key)
    kind = struct.pack(">HHI", _KEYEDHASH, SHA256, _ATTRIBUTES)
    return kind + sized(b"") + struct.pack(">HH", _HMAC, SHA256) + sized(unique)


def _storage_key(public: TpmPublic, seed: bytes, name: bytes) -> bytes:
    return _kdfa(public.name_algorithm, seed, b"STORAGE", name, public.symmetric_bits)


def _integrity_key(algorithm: int, seed: bytes) -> bytes:
    return _kdfa(algorithm, seed, b"INTEGRITY", b"", HASHES[algorithm].digest_size * 8)


def _kdfa(algorithm: int, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """Part 1, 11.4.10.2: SP 800-108 in counter mode, over HMAC; the label ends with a zero octet."""
    made, counter = b"", 0
    while len(made) * 8 < bits:
        counter += 1
        fixed = label + b"\0" + context + struct.pack(">I", bits)
        made += _mac(algorithm, key, struct.pack(">I", counter) + fixed)
    return made[: bits // 8]


def _cfb(key: bytes, data: bytes) -> bytes:
    """CFB with a zero IV: the key is used once (part 1, 22.4 and 23.3)."""
    encryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _mac(algorithm: int, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, HASHES[algorithm].name)
