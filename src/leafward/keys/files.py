"""Keys in files: PKCS#8 PEM, mode 0600, in folders of mode 0700, and refused when others could have read them."""

import os
from pathlib import Path

from leafward.disk import PRIVATE, create_file, leftovers, make_folder, remove_file
from leafward.errors import AlreadyExists, EncodingError, KeyUnavailable, SettingsError
from leafward.keys.encrypted_pkcs8 import encrypted_pem
from leafward.keys.generation import new_private_key
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Passphrases, in_use
from leafward.keys.private_file import read_private
from leafward.pki.encoding import load_private_key, private_key_to_pem
from leafward.pki.key_types import KeyType, PrivateKey


class FileKeyStore:
    """Keys by absolute path ("file:/etc/leafward/ca.pem"); keeps `KeyStore`'s promises.

    Holds nothing between calls: a file replaced by somebody else is seen by the next `load`, keys given out stay as
    they are. Reads SEC 1 and PKCS#1 too, and whatever encryption OpenSSL writes. A symbolic link is followed by
    `load`; `generate` never writes through one.
    """

    scheme = "file"

    def generate(
        self, reference: KeyReference, key_type: KeyType, passphrases: Passphrases | None = None
    ) -> PrivateKey:
        """See `KeyStore.generate`. Missing folders are made, with mode 0700."""
        path = self._path(reference)
        self._refuse_existing(path)
        # Before the key is made: a person who mistypes shall not wait for an RSA key.
        secret = passphrases.for_new(str(path)) if passphrases is not None and passphrases.encrypt_new else None
        key = new_private_key(key_type)
        pem = encrypted_pem(key, secret.text) if secret else private_key_to_pem(key)
        make_folder(path.parent)
        create_file(path, pem, mode=PRIVATE)
        return key

    def load(self, reference: KeyReference, passphrases: Passphrases | None = None) -> PrivateKey:
        """See `KeyStore.load`. Refuses a file that group or others may access, and a wrong passphrase at once."""
        path = self._path(reference)
        data = read_private(path, "the key")
        if b"ENCRYPTED" in data:
            return _load_encrypted(path, data, passphrases or in_use())
        try:
            return load_private_key(data)
        except EncodingError as error:
            raise _unusable(path, error, data) from None

    def exists(self, reference: KeyReference) -> bool:
        """See `KeyStore.exists`."""
        return os.path.lexists(self._path(reference))

    def delete(self, reference: KeyReference) -> None:
        """See `KeyStore.delete`. Unlinks the file; what the disk keeps of it is the disk's affair."""
        path = self._path(reference)
        for leftover in leftovers(path):
            remove_file(leftover)
        remove_file(path)

    def _path(self, reference: KeyReference) -> Path:
        if reference.scheme != self.scheme or not reference.rest.startswith("/") or reference.rest.startswith("//"):
            raise SettingsError(
                f"'{reference.label}' is no key in a file",
                why="expected file: and an absolute path",
                hint="write file:/the/whole/path",
            )
        return Path(reference.rest)

    def _refuse_existing(self, path: Path) -> None:
        # Before the key is made: RSA takes long. `create_file` is what makes it sure.
        if os.path.lexists(path):
            raise AlreadyExists(f"{path} exists", why="a key is never overwritten", hint="choose another path")


def _load_encrypted(path: Path, data: bytes, passphrases: Passphrases) -> PrivateKey:
    secret = passphrases.to_open(str(path))
    try:
        return load_private_key(data, secret.text.encode())
    except EncodingError as error:
        passphrases.forget(str(path))
        raise KeyUnavailable(
            f"the key {path} does not open",
            why=f"{error}; the passphrase came from {secret.source}",
            hint="give the passphrase it was written with",
        ) from None


def _unusable(path: Path, error: EncodingError, data: bytes) -> KeyUnavailable:
    return KeyUnavailable(
        f"the key {path} cannot be used",
        why=str(error) if data.strip() else "the file is empty",
        hint=error.hint or "name the file that holds the key",
    )
