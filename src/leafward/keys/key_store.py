"""The interface of all key backends, and the one place that knows which there are.

A backend is loaded when a reference first names it, so a command that needs no HSM loads no HSM library.
"""

import functools
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, cast

from leafward.errors import KeyUnavailable, SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Passphrases
from leafward.pki.key_types import KeyType, PrivateKey

__all__ = [
    "BACKENDS",
    "KeyReference",
    "KeyStore",
    "PrivateKey",
    "delete_key",
    "generate_key",
    "key_exists",
    "key_store_for",
    "open_key",
]

# Scheme of the key reference -> the module and class that keep such keys.
BACKENDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "file": ("leafward.keys.files", "FileKeyStore"),
        "memory": ("leafward.keys.memory", "MemoryKeyStore"),
        "pkcs11": ("leafward.keys.pkcs11", "Pkcs11KeyStore"),
        "tpm": ("leafward.keys.tpm", "TpmKeyStore"),
    }
)
# What a backend needs beyond the package itself: the module that is missing -> the extra that brings it.
EXTRAS: Mapping[str, str] = MappingProxyType({"pkcs11": "pkcs11", "tpm2_pytss": "tpm"})


class KeyStore(Protocol):
    """What every backend promises; `tests/keys/test_contract.py` holds each one to it.

    Keys are handles: subclasses of `cryptography`'s private-key classes that sign and show their public key. No caller
    asks one for `private_bytes`. Keys, references and errors never show key bytes or PINs.

    Concurrency: every method, and signing with a key it gave out, may be called from any thread. Durability: when
    `generate` or `delete` returns, a power cut does not undo it. Atomicity: a kill during `generate` leaves the whole
    key or none.

    A reference of another scheme, or one the backend cannot read, is refused with `SettingsError`. Where a passphrase
    or PIN is needed it comes from `passphrases`, or else from what the process has been told (`passphrase.in_use`); a
    wrong one is `KeyUnavailable`, and is not tried again.
    """

    scheme: str

    def generate(
        self, reference: KeyReference, key_type: KeyType, passphrases: Passphrases | None = None
    ) -> PrivateKey:
        """A new key, kept under `reference`; encrypted only where `passphrases` is given and says so.

        Raises `AlreadyExists`, changing nothing, when there is one; of several at once, one succeeds. Raises
        `KeyUnavailable` for a key type the backend has not, `StoreError` when it cannot write.
        """

    def load(self, reference: KeyReference, passphrases: Passphrases | None = None) -> PrivateKey:
        """The key. Raises `NotFound` when there is none, `KeyUnavailable` when it must not or cannot be used."""

    def exists(self, reference: KeyReference) -> bool:
        """True when something stands under `reference`, usable or not."""

    def delete(self, reference: KeyReference) -> None:
        """Destroys the key and whatever a kill left of it; without effect when there is none, so it can be repeated."""


@functools.cache
def _backend(scheme: str) -> KeyStore:
    module, name = BACKENDS[scheme]
    try:
        return cast("KeyStore", getattr(importlib.import_module(module), name)())
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        why = f"the Python module '{error.name}' is not installed"
        raise KeyUnavailable(f"no {scheme} keys here", why=why, hint=f"pip install 'leafward[{extra}]'") from error


def key_store_for(reference: KeyReference) -> KeyStore:
    """The backend that keeps `reference`, one for the whole process.

    Raises `SettingsError` for an unknown scheme, `KeyUnavailable` when the library it needs is not installed.
    """
    if reference.scheme not in BACKENDS:
        raise SettingsError(
            f"no key backend for '{reference.label}'",
            why=f"got the scheme '{reference.scheme}', expected one of {', '.join(BACKENDS)}",
            hint="for a key in a file write file:/the/whole/path",
        )
    return _backend(reference.scheme)


def open_key(reference: KeyReference, passphrases: Passphrases | None = None) -> PrivateKey:
    """`KeyStore.load` of the backend that keeps `reference`."""
    return key_store_for(reference).load(reference, passphrases)


def generate_key(reference: KeyReference, key_type: KeyType, passphrases: Passphrases | None = None) -> PrivateKey:
    """`KeyStore.generate` of the backend that keeps `reference`."""
    return key_store_for(reference).generate(reference, key_type, passphrases)


def key_exists(reference: KeyReference) -> bool:
    """`KeyStore.exists` of the backend that keeps `reference`."""
    return key_store_for(reference).exists(reference)


def delete_key(reference: KeyReference) -> None:
    """`KeyStore.delete` of the backend that keeps `reference`."""
    key_store_for(reference).delete(reference)
