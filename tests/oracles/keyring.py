"""Keys for the chains that the judges see. RSA keys are slow to make, so all test processes of a run share them."""

import fcntl
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_MAKERS: dict[str, Any] = {
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}


class Keyring:
    """A key for each type and role. Hierarchies share RSA keys of one role; the others are new at each call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rsa = cache(self._shared_rsa)

    def key(self, key_type: str, role: str) -> Any:
        """A private key; `role` is a word such as "device-ca"."""
        return self._rsa(int(key_type[4:]), role) if key_type.startswith("rsa-") else _MAKERS[key_type]()

    def _shared_rsa(self, size: int, role: str) -> rsa.RSAPrivateKey:
        file = self._folder / f"rsa-{size}-{role}.pem"
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                file.write_bytes(key_pem(rsa.generate_private_key(public_exponent=65537, key_size=size)))
        key = load_pem_private_key(file.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key


def key_pem(key: Any) -> bytes:
    """PKCS#8, as PEM, without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
