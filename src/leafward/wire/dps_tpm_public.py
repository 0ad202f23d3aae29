"""A storage key of a TPM 2.0 as it tells of it, RSA or ECC, and how a secret is brought to its holder alone.

The TPM 2.0 Library's, part 2: 12.2.5 TPM2B_PUBLIC; part 1: 11.4.10.3 KDFe, 16 names, B.10 secrets by RSA, C.6 secrets
by ECC (one-pass Diffie-Hellman). What is random comes in as an argument, but for OAEP's own seed.
"""

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from leafward.errors import EncodingError

LONGEST_PUBLIC: Final = 1024  # octets of a TPM2B_PUBLIC
SMALLEST_RSA, LARGEST_RSA = 2048, 4096  # bits

# Part 2, 6.3: TPM_ALG_ID.
_RSA, _ECC, _AES, _NULL, _CFB = 0x0001, 0x0023, 0x0006, 0x0010, 0x0043
SHA256: Final = 0x000B
HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    SHA256: hashes.SHA256(),
    0x000C: hashes.SHA384(),
    0x000D: hashes.SHA512(),
}
# Part 2, 8.3.2: TPMA_OBJECT.
_RESTRICTED, _DECRYPT = 1 << 16, 1 << 17
# Part 2, 6.4: TPM_ECC_CURVE; with the order of each group (SP 800-186, 3.2.1).
_CURVES: Final[dict[int, tuple[ec.EllipticCurve, int]]] = {
    0x0003: (ec.SECP256R1(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    0x0004: (
        ec.SECP384R1(),
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
}
# Octets beyond a curve's own: what is random is spread evenly over the private keys (FIPS 186-5, A.2.1).
_EXTRA = 8

StorageKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class TpmPublic:
    """A storage key of a TPM: an endorsement key, or a storage root key. `area` is its TPMT_PUBLIC."""

    area: bytes = field(repr=False)
    name_algorithm: int
    symmetric_bits: int
    key: StorageKey

    @classmethod
    def parse(cls, data: bytes, what: str) -> "TpmPublic":
        """Reads a TPM2B_PUBLIC (part 2, 12.2.5). Raises `EncodingError` for what is no storage key of RSA or ECC."""
        try:
            return _parse(data)
        except (struct.error, IndexError, ValueError) as error:
            why = str(error) or "it ends too early"
            hint = f"expected a TPM2B_PUBLIC of a storage key, RSA or ECC: the {what} as the TPM gives it"
            raise EncodingError(f"the {what} cannot be used", why=why, hint=hint) from error

    @property
    def name(self) -> bytes:
        """The object's name (part 1, 16)."""
        return struct.pack(">H", self.name_algorithm) + digest(self.name_algorithm, self.area)

    @property
    def randomness(self) -> int:
        """How many random octets a secret for it is made of."""
        if isinstance(self.key, rsa.RSAPublicKey):
            return HASHES[self.name_algorithm].digest_size
        return _octets(self.key.curve) + _EXTRA

    def secret(self, random: bytes, label: bytes) -> tuple[bytes, bytes]:
        """A secret of the size of its digest, and the TPM2B_ENCRYPTED_SECRET that its holder gets it from.

        `random` has `randomness` octets; `label` is what the secret is for, as the TPM knows it: b"IDENTITY".
        """
        if isinstance(self.key, rsa.RSAPublicKey):
            algorithm = HASHES[self.name_algorithm]
            oaep = padding.OAEP(padding.MGF1(algorithm), algorithm, label + b"\0")
            return random, sized(self.key.encrypt(random, oaep))
        return self._shared(self.key, random, label)

    def _shared(self, theirs: ec.EllipticCurvePublicKey, random: bytes, label: bytes) -> tuple[bytes, bytes]:
        """C.6.1: a key pair for this once; what both sides come to is the secret, and our point is what they get."""
        order = next(order for curve, order in _CURVES.values() if curve.name == theirs.curve.name)
        own = ec.derive_private_key(int.from_bytes(random, "big") % (order - 1) + 1, theirs.curve)
        point, size = own.public_key().public_numbers(), _octets(theirs.curve)
        ours_x, ours_y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
        theirs_x = theirs.public_numbers().x.to_bytes(size, "big")
        secret = self._kdfe(own.exchange(ec.ECDH(), theirs), label, ours_x, theirs_x)
        return secret, sized(sized(ours_x) + sized(ours_y))

    def _kdfe(self, shared: bytes, label: bytes, ours_x: bytes, theirs_x: bytes) -> bytes:
        """11.4.10.3, for as many bits as one digest has: SP 800-56A, 5.8.1; the label ends with a zero octet."""
        return digest(self.name_algorithm, struct.pack(">I", 1) + shared + label + b"\0" + ours_x + theirs_x)


def digest(algorithm: int, data: bytes) -> bytes:
    """By one of `HASHES`."""
    return hashlib.new(HASHES[algorithm].name, data).digest()


def sized(data: bytes) -> bytes:
    """A TPM2B: octets with their count in two octets before them."""
    return struct.pack(">H", len(data)) + data


def _octets(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _parse(data: bytes) -> TpmPublic:
    if len(data) > LONGEST_PUBLIC or len(data) < 2 or len(data) != 2 + struct.unpack_from(">H", data)[0]:
        raise ValueError("its length is another than it says")
    area = data[2:]
    kind, name_algorithm, attributes, policy_size = struct.unpack_from(">HHIH", area)
    if kind not in (_RSA, _ECC) or name_algorithm not in HASHES:
        raise ValueError("it is no RSA or ECC key, or named by an unknown hash")
    if attributes & (_RESTRICTED | _DECRYPT) != _RESTRICTED | _DECRYPT:
        raise ValueError("it is no storage key: not both restricted and for decryption")
    at = 10 + policy_size
    symmetric, symmetric_bits, mode, scheme = struct.unpack_from(">HHHH", area, at)
    if (symmetric, mode, scheme) != (_AES, _CFB, _NULL) or symmetric_bits not in (128, 192, 256):
        raise ValueError("it does not protect with AES in CFB mode")
    key = _rsa(area, at + 8) if kind == _RSA else _ecc(area, at + 8)
    return TpmPublic(area, name_algorithm, symmetric_bits, key)


def _rsa(area: bytes, at: int) -> rsa.RSAPublicKey:
    """The rest of TPMS_RSA_PARMS, and the modulus (part 2, 12.2.3.5)."""
    bits, exponent, size = struct.unpack_from(">HIH", area, at)
    modulus = area[at + 8 :]
    if len(modulus) != size or size * 8 != bits or not SMALLEST_RSA <= bits <= LARGEST_RSA:
        raise ValueError(f"its modulus has {size * 8} bits, expected {SMALLEST_RSA} to {LARGEST_RSA}")
    return rsa.RSAPublicNumbers(exponent or 65537, int.from_bytes(modulus, "big")).public_key()


def _ecc(area: bytes, at: int) -> ec.EllipticCurvePublicKey:
    """The rest of TPMS_ECC_PARMS, and the point (part 2, 12.2.3.6). Raises `ValueError` for one off the curve."""
    curve, derivation = struct.unpack_from(">HH", area, at)
    if curve not in _CURVES or derivation != _NULL:
        raise ValueError("its curve is not P-256 or P-384, or it has a key derivation of its own")
    x, at = _taken(area, at + 4)
    y, at = _taken(area, at)
    known = _CURVES[curve][0]
    if at != len(area) or max(len(x), len(y)) > _octets(known):
        raise ValueError("its point is larger than its curve")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), known).public_key()


def _taken(area: bytes, at: int) -> tuple[bytes, int]:
    """A TPM2B, and where the next thing begins."""
    (size,) = struct.unpack_from(">H", area, at)
    if at + 2 + size > len(area):
        raise ValueError("it ends too early")
    return area[at + 2 : at + 2 + size], at + 2 + size
