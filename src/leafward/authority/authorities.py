"""The maker's certificate authorities on disk: roots and intermediates, each a folder with its chain and its key.

    authorities/NAME/certificate.pem    the CA certificate and its issuers up to the root, leaf first
    authorities/NAME/key.pem            its private key, 0600

A folder appears whole or not at all: it is filled under another name, made durable, then renamed.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leafward import disk
from leafward.errors import AlreadyExists, NotFound
from leafward.keys.key_store import KeyReference, PrivateKey, generate_key, open_key
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import KeyType
from leafward.pki.names import common_name

CERTIFICATE = "certificate.pem"
KEY = "key.pem"


@dataclass(frozen=True)
class Authority:
    """One CA of the maker's: its short name, its chain (leaf first) and where its key is."""

    name: str
    chain: Chain
    key: KeyReference

    @property
    def is_root(self) -> bool:
        """Whether this CA is a trust anchor."""
        return len(self.chain.certificates) == 1 and self.chain.is_complete

    def issuer(self) -> Issuer:
        """This CA ready to sign. Raises `KeyUnavailable` when its key cannot be reached."""
        return Issuer(self.chain, open_key(self.key))


class Authorities:
    """The maker's CAs. Safe against a kill at any instant; one process writes at a time (the home's lock)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "authorities"

    def __iter__(self) -> Iterator[Authority]:
        """Roots first, then each CA after its issuer, by name within a level."""
        if not self.folder.is_dir():
            return iter(())
        found = [self._read(path) for path in sorted(self.folder.iterdir()) if not path.name.startswith(".")]
        return iter(sorted(found, key=lambda authority: (len(authority.chain.certificates), authority.name)))

    def get(self, wanted: str) -> Authority:
        """The CA with this name, common name, or beginning of a SHA-256 fingerprint (8 characters or more)."""
        matches = [authority for authority in self if _answers_to(authority, wanted)]
        if len(matches) != 1:
            why = f"{len(matches)} match" if matches else "none matches"
            raise NotFound(f"no single authority {wanted!r}", why=why, hint="leafward ca list")
        return matches[0]

    def default_issuer(self) -> Authority:
        """The last CA of the only hierarchy; a choice has to be made by name where there are several."""
        everyone = list(self)
        if not everyone:
            raise NotFound("there is no authority yet", hint='leafward ca init --cn "Example Root CA"')
        deepest = [a for a in everyone if len(a.chain.certificates) == len(everyone[-1].chain.certificates)]
        if len(deepest) > 1:
            names = ", ".join(authority.name for authority in deepest)
            raise NotFound("which authority shall sign is not clear", why=f"got {names}", hint="give --issuer NAME")
        return deepest[0]

    def add(self, common_name: str, key_type: KeyType, issue: Callable[[PrivateKey], Chain]) -> Authority:
        """Makes a CA: a new key, and the chain that `issue` makes for it. Raises `AlreadyExists` for a name in use."""
        name = short_name(common_name)
        folder = self.folder / name
        if folder.exists():
            raise AlreadyExists(f"an authority {name!r} exists", why=str(folder), hint="choose another name")
        filling = self.folder / f".{name}.new"
        _remove_leftover(filling)
        disk.make_folder(filling)
        chain = issue(generate_key(KeyReference("file", str(filling / KEY)), key_type))
        disk.write_file(filling / CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
        with disk.told(f"cannot put the authority {name!r} in its place"):
            filling.rename(folder)
            disk.sync_folder(self.folder)
        return self._read(folder)

    def _read(self, folder: Path) -> Authority:
        chain = Chain.from_pem(disk.read_file(folder / CERTIFICATE))
        return Authority(folder.name, chain, KeyReference("file", str(folder / KEY)))


def short_name(text: str) -> str:
    """A folder's name for a common name.

    >>> short_name("Azure IoT Hub CA Cert Test Only")
    'azure-iot-hub-ca-cert-test-only'
    """
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.")


def _answers_to(authority: Authority, wanted: str) -> bool:
    if wanted in (authority.name, common_name(authority.chain.leaf.subject)):
        return True
    return len(wanted) >= 8 and fingerprint(authority.chain.leaf).startswith(wanted.lower())


def _remove_leftover(folder: Path) -> None:
    """What a killed run left half-filled: a key that signed nothing we kept."""
    if folder.exists():
        with disk.told(f"cannot remove {folder}"):
            shutil.rmtree(folder)
