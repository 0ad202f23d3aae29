"""Keys in files: PKCS#8 PEM, mode 0600, in folders of mode 0700, and refused when others could have read them."""

import os
import stat
from pathlib import Path

from leafward.disk import (
    MAX_FILE_SIZE,
    PRIVATE,
    create_file,
    leftovers,
    make_folder,
    remove_file,
    told,
)
from leafward.errors import AlreadyExists, EncodingError, KeyUnavailable, SettingsError, StoreError
from leafward.keys.generation import new_private_key
from leafward.keys.key_reference import KeyReference
from leafward.pki.encoding import load_private_key, private_key_to_pem
from leafward.pki.key_types import KeyType, PrivateKey

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileKeyStore:
    """Keys by absolute path ("file:/etc/leafward/ca.pem"); keeps `KeyStore`'s promises.

    Holds nothing between calls: a file replaced by somebody else is seen by the next `load`, keys given out stay as
    they are. Reads SEC 1 and PKCS#1 too, as other tools write them. A symbolic link is followed by `load`; `generate`
    never writes through one.
    """

    scheme = "file"

    def generate(self, reference: KeyReference, key_type: KeyType) -> PrivateKey:
        """See `KeyStore.generate`. Missing folders are made, with mode 0700."""
        path = self._path(reference)
        self._refuse_existing(path)
        key = new_private_key(key_type)
        make_folder(path.parent)
        create_file(path, private_key_to_pem(key), mode=PRIVATE)
        return key

    def load(self, reference: KeyReference) -> PrivateKey:
        """See `KeyStore.load`. Refuses a file that group or others may access, and an encrypted one."""
        path = self._path(reference)
        data = _read_private(path)
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


def _read_private(path: Path) -> bytes:
    """The bytes of a regular file that is its owner's alone: of the very file that was looked at, not of its name."""
    try:
        with told(f"cannot read the key {path}"):
            # O_NONBLOCK: a pipe under that name must not hang us before we can refuse it.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                _refuse_unfit(path, os.fstat(descriptor).st_mode)
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read(MAX_FILE_SIZE)
            finally:
                os.close(descriptor)
    except StoreError as error:
        raise KeyUnavailable(error.what, why=error.why, hint=error.hint) from error


def _refuse_unfit(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise KeyUnavailable(f"the key {path} is no file", hint="name the file that holds the key")
    if mode & _OTHERS:
        raise KeyUnavailable(
            f"the key {path} is too open",
            why=f"got mode {stat.S_IMODE(mode):04o}, expected 0600: others could have read it",
            hint=f"chmod 600 {path}, and make a new key if others are on this machine",
        )


def _unusable(path: Path, error: EncodingError, data: bytes) -> KeyUnavailable:
    if b"ENCRYPTED" in data:
        return KeyUnavailable(
            f"the key {path} is encrypted",
            why="a service has nobody to ask for the passphrase",
            hint=f"write a plain one: (umask 077; openssl pkey -in {path} -out {path}.plain), and use that",
        )
    return KeyUnavailable(
        f"the key {path} cannot be used",
        why=str(error) if data.strip() else "the file is empty",
        hint=error.hint or "name the file that holds the key",
    )
