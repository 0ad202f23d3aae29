"""What a module may have done with keys it never sees: sign, encrypt and decrypt of the Workload API.

`sign` is HMAC-SHA256 with the module's own key, from the registry.

`encrypt` and `decrypt` use one master key of this device, a file of 0600 made on first use. As in IoT Edge, module name
and generation id are bound to the ciphertext, so another module, or the same one registered anew, cannot read it, and
the initialisation vector comes from the caller. AES-GCM breaks when two plaintexts share key and nonce, and callers do
repeat a vector (the SDKs' samples use a constant one). So the vector is no nonce here:

    salt       16 random bytes a call
    subkey     HKDF-SHA256(master key, salt, info = label, module, generation id, vector, each with its length)
    nonce      96 zero bits: each subkey is used once, so its one nonce may be a constant
    ciphertext 1 version byte | salt | AES-256-GCM(subkey, nonce, plaintext, AAD = module + generation id)

A vector of any length will do, and one used twice costs nothing. The same vector must be given to decrypt. Two calls
with the same salt need about 2^64 calls with the same vector first.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leafward import disk
from leafward.errors import Damaged, EncodingError, NotFound

MASTER_KEY = "master.key"
_KEY_SIZE = 32
_SALT_SIZE = 16
_TAG_SIZE = 16
_VERSION = b"\x01"
_LABEL = b"leafward module encryption 1"
_NONCE = bytes(12)


def sign(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 over `data`: the one algorithm of the Workload API. 32 bytes."""
    return hmac.digest(key, data, hashlib.sha256)


class MasterKey:
    """The device's encryption key in one file. A wipe removes the file, and with it all that was ever encrypted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: bytes | None = None

    def __repr__(self) -> str:
        return f"MasterKey({str(self._path)!r})"

    def encrypt(self, plaintext: bytes, *, module: str, generation_id: str, vector: bytes) -> bytes:
        """The ciphertext of `plaintext` for one module; 33 bytes longer. Makes the master key on first use."""
        salt = secrets.token_bytes(_SALT_SIZE)
        cipher = AESGCM(self._subkey(salt, module, generation_id, vector))
        return _VERSION + salt + cipher.encrypt(_NONCE, plaintext, _associated(module, generation_id))

    def decrypt(self, ciphertext: bytes, *, module: str, generation_id: str, vector: bytes) -> bytes:
        """The plaintext again.

        Raises `EncodingError` for anything that was not made by `encrypt` with the same four; it does not say which of
        them differs.
        """
        head = len(_VERSION) + _SALT_SIZE
        if len(ciphertext) < head + _TAG_SIZE or not ciphertext.startswith(_VERSION):
            raise _undecryptable()
        cipher = AESGCM(self._subkey(ciphertext[len(_VERSION) : head], module, generation_id, vector))
        try:
            return cipher.decrypt(_NONCE, ciphertext[head:], _associated(module, generation_id))
        except InvalidTag as error:
            raise _undecryptable() from error

    def _subkey(self, salt: bytes, module: str, generation_id: str, vector: bytes) -> bytes:
        parts = (_LABEL, module.encode(), generation_id.encode(), vector)
        info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return HKDF(hashes.SHA256(), length=_KEY_SIZE, salt=salt, info=info).derive(self._master())

    def _master(self) -> bytes:
        """Read once; made when there is none. A file of another size is damage, and never replaced."""
        if self._key is None:
            try:
                key = disk.read_file(self._path)
            except NotFound:
                key = secrets.token_bytes(_KEY_SIZE)
                disk.write_file(self._path, key, mode=disk.PRIVATE)
            if len(key) != _KEY_SIZE:
                raise Damaged(
                    f"{self._path} is no encryption key",
                    why=f"got {len(key)} bytes, expected {_KEY_SIZE}",
                    hint="restore it from a backup, or remove it and lose what modules encrypted",
                )
            self._key = key
        return self._key


def _associated(module: str, generation_id: str) -> bytes:
    """Module name followed by generation id, as IoT Edge binds them. The lengths are in the subkey's `info`."""
    return f"{module}{generation_id}".encode()


def _undecryptable() -> EncodingError:
    return EncodingError(
        "the ciphertext cannot be decrypted",
        why="it was changed, or made for another module, generation id or initialization vector",
        hint="send the same initializationVector as to encrypt",
    )
