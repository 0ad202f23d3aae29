"""New keys from the system's random source, for the backends that hold a key's bytes themselves."""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from leafward.errors import KeyUnavailable
from leafward.pki.key_types import KeyType, PrivateKey

_PUBLIC_EXPONENT = 65537  # FIPS 186-5 A.1.1 allows others; every client takes this one

_GENERATORS: dict[str, Callable[[], PrivateKey]] = {
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa-2048": lambda: rsa.generate_private_key(_PUBLIC_EXPONENT, 2048),
    "rsa-3072": lambda: rsa.generate_private_key(_PUBLIC_EXPONENT, 3072),
    "rsa-4096": lambda: rsa.generate_private_key(_PUBLIC_EXPONENT, 4096),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}


def new_private_key(key_type: KeyType) -> PrivateKey:
    """A new key of `key_type`, held in memory. Raises `KeyUnavailable` for a type that cannot be made here."""
    generate = _GENERATORS.get(key_type.name)
    if generate is None:
        raise KeyUnavailable(
            f"cannot make a key of the type '{key_type.name}'",
            why=f"expected one of {', '.join(_GENERATORS)}",
        )
    return generate()
