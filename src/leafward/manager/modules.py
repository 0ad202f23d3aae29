"""The modules of this device: their identities in the registry, made, listed and removed.

A module has a name, a generation id that is new each time the name is registered, and a symmetric key that no module
ever sees: it signs through the Workload API. The registry's database is opened on first use.
"""

import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from leafward.errors import AlreadyExists, NotFound
from leafward.manager.server_names import own_names
from leafward.pki.names import parse_module_id
from leafward.store.identity import Identity
from leafward.store.registry_file import RegistryFile

_KEY_SIZE = 32


class Modules:
    """The module identities of one device. For one thread: the manager's loop."""

    def __init__(self, registry: Path, device_id: str, now: Callable[[], datetime]) -> None:
        self.device_id = device_id
        self._path = registry
        self._now = now
        self._registry: RegistryFile | None = None

    def ensure(self, module_id: str) -> Identity:
        """The module's identity, made where there is none."""
        return self.find(module_id) or self.add(module_id)

    def add(self, module_id: str) -> Identity:
        """A new module. Raises `AlreadyExists` for a name in use, or one so like it that both have one host name."""
        registry = self._open()
        name = parse_module_id(module_id)
        for other in map(_name, registry.modules(self.device_id)):
            # "modA", "moda" and "mod!a" would have the same name in their server certificates.
            if other == name or own_names(other) & own_names(name):
                raise AlreadyExists(f"a module {other!r} exists", hint="choose another name")
        identity = Identity(
            device_id=self.device_id,
            module_id=name,
            auth="sas",
            enabled=True,
            generation_id=secrets.token_hex(9),
            primary_key=secrets.token_bytes(_KEY_SIZE),
            secondary_key=secrets.token_bytes(_KEY_SIZE),
            primary_thumbprint=None,
            secondary_thumbprint=None,
            created=self._now(),
        )
        registry.add(identity)
        return identity

    def find(self, module_id: str) -> Identity | None:
        """The identity of exactly this name, or None."""
        return self._open().get(self.device_id, module_id)

    def get(self, module_id: str) -> Identity:
        """Raises `NotFound`."""
        identity = self.find(module_id)
        if identity is None:
            raise NotFound(f"no module {module_id!r}", hint=f"leafward module add {module_id}")
        return identity

    def all(self) -> list[Identity]:
        """Every module of this device, by name."""
        return sorted(self._open().modules(self.device_id), key=_name)

    def remove(self, module_id: str) -> None:
        """Raises `NotFound`."""
        self._open().remove(self.device_id, module_id)

    def close(self) -> None:
        """Closes the database."""
        if self._registry is not None:
            self._registry.close()
            self._registry = None

    def _open(self) -> RegistryFile:
        if self._registry is None:
            self._registry = RegistryFile.open(self._path)
        return self._registry


def _name(identity: Identity) -> str:
    return identity.module_id or ""
