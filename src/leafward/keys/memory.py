"""Keys that live as long as the process: for tests, and for keys that must leave no trace."""

import threading

from leafward.errors import AlreadyExists, NotFound, SettingsError
from leafward.keys.generation import new_private_key
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Passphrases
from leafward.pki.key_types import KeyType, PrivateKey


class MemoryKeyStore:
    """Keys by label ("memory:workload-ca"), gone with the object; keeps `KeyStore`'s promises but durability."""

    scheme = "memory"

    def __init__(self) -> None:
        self._keys: dict[str, PrivateKey] = {}
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"MemoryKeyStore({len(self._keys)} keys)"

    def generate(
        self, reference: KeyReference, key_type: KeyType, passphrases: Passphrases | None = None
    ) -> PrivateKey:
        """See `KeyStore.generate`. There is no passphrase to a key in memory: `passphrases` is not asked."""
        del passphrases
        key = new_private_key(key_type)
        with self._guard:
            if self._label(reference) in self._keys:
                raise AlreadyExists(f"the key {reference.label} exists", hint="choose another label")
            self._keys[reference.rest] = key
        return key

    def load(self, reference: KeyReference, passphrases: Passphrases | None = None) -> PrivateKey:
        """See `KeyStore.load`."""
        del passphrases
        with self._guard:
            key = self._keys.get(self._label(reference))
        if key is None:
            raise NotFound(f"no key {reference.label}", hint="keys in memory end with their process: generate it anew")
        return key

    def exists(self, reference: KeyReference) -> bool:
        """See `KeyStore.exists`."""
        with self._guard:
            return self._label(reference) in self._keys

    def delete(self, reference: KeyReference) -> None:
        """See `KeyStore.delete`."""
        with self._guard:
            self._keys.pop(self._label(reference), None)

    def _label(self, reference: KeyReference) -> str:
        if reference.scheme != self.scheme:
            raise SettingsError(f"{reference.label} is no key in memory", why="expected memory:LABEL")
        return reference.rest
