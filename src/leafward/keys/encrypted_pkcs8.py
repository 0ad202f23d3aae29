"""Keys under a passphrase: PKCS#8 with scrypt and AES-256 (RFC 5958 section 3, RFC 8018 6.2, RFC 7914 section 7).

`cryptography` would write PBKDF2 with 2048 rounds, which a graphics card tries by the million a second; whoever finds
the stick with the root's key has all the time there is. It reads what is written here, and so does OpenSSL.
"""

import secrets

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.x509 import ObjectIdentifier

from leafward.pki.key_types import PrivateKey
from leafward.pki.pem import write_block

_PBES2 = ObjectIdentifier("1.2.840.113549.1.5.13")
_SCRYPT = ObjectIdentifier("1.3.6.1.4.1.11591.4.11")
_AES_256_CBC = ObjectIdentifier("2.16.840.1.101.3.4.1.42")

# 16 MiB five times over, 0.2 s: as dear to guess as 128 MiB once, and within the 32 MiB that OpenSSL allows a file.
_N, _R, _P = 2**14, 8, 5


@asn1.sequence
class _ScryptParameters:
    salt: bytes
    cost: int
    block_size: int
    parallelization: int


@asn1.sequence
class _KeyDerivation:
    algorithm: ObjectIdentifier
    parameters: _ScryptParameters


@asn1.sequence
class _Encryption:
    algorithm: ObjectIdentifier
    initial_vector: bytes


@asn1.sequence
class _Pbes2Parameters:
    key_derivation: _KeyDerivation
    encryption: _Encryption


@asn1.sequence
class _Pbes2:
    algorithm: ObjectIdentifier
    parameters: _Pbes2Parameters


@asn1.sequence
class _EncryptedPrivateKeyInfo:
    algorithm: _Pbes2
    data: bytes


def encrypted_pem(key: PrivateKey, passphrase: str) -> bytes:
    """`key` as an ENCRYPTED PRIVATE KEY in PEM. For keys held in memory only; the passphrase must not be empty."""
    if not passphrase:
        raise ValueError("an empty passphrase protects nothing")
    salt, initial_vector = secrets.token_bytes(16), secrets.token_bytes(16)
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    wrapping_key = Scrypt(salt, 32, _N, _R, _P).derive(passphrase.encode())
    scrypt = _ScryptParameters(salt=salt, cost=_N, block_size=_R, parallelization=_P)
    derivation = _KeyDerivation(algorithm=_SCRYPT, parameters=scrypt)
    encryption = _Encryption(algorithm=_AES_256_CBC, initial_vector=initial_vector)
    parameters = _Pbes2Parameters(key_derivation=derivation, encryption=encryption)
    data = _encrypt(wrapping_key, initial_vector, plain)
    algorithm = _Pbes2(algorithm=_PBES2, parameters=parameters)
    der = asn1.encode_der(_EncryptedPrivateKeyInfo(algorithm=algorithm, data=data))
    return write_block("ENCRYPTED PRIVATE KEY", der)


def _encrypt(key: bytes, initial_vector: bytes, plain: bytes) -> bytes:
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(initial_vector)).encryptor()
    return encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
