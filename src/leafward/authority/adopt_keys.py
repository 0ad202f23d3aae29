"""The keys of a folder's CAs: found by their public halves, opened where they are encrypted, and copied.

A key that needs no passphrase is looked at first, then the encrypted ones whose file is named like a CA's; a person is
asked for no more of them than there are CAs without a key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.authority.adopt_folder import FoundKey
from leafward.authority.adopt_plan import Member, Plan
from leafward.authority.certgen_dialect import KNOWN_PASSWORD
from leafward.errors import EncodingError, KeyUnavailable
from leafward.keys.encrypted_pkcs8 import encrypted_pem
from leafward.keys.passphrase import Passphrases, Secret
from leafward.pki.chain import fingerprint
from leafward.pki.encoding import load_private_key, private_key_to_pem
from leafward.pki.key_types import PrivateKey
from leafward.pki.paths import public_key_bytes


@dataclass(frozen=True)
class OpenedKey:
    """A CA's key out of the folder. `secret` is the passphrase it is kept under; None: it is kept plain."""

    path: Path
    key: PrivateKey = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    was_known: bool = False

    def to_pem(self) -> bytes:
        """As it is kept here."""
        return private_key_to_pem(self.key) if self.secret is None else encrypted_pem(self.key, self.secret)


@dataclass
class FolderKeys:
    """What came of the search: the keys by their CA's fingerprint, and those that did not open, with the reason."""

    opened: dict[str, OpenedKey] = field(default_factory=dict)
    locked: dict[Path, KeyUnavailable] = field(default_factory=dict)


def find_keys(plan: Plan, passphrases: Passphrases, files: Mapping[Path, Path], *, new: str | None) -> FolderKeys:
    """Opens the keys of the plan's authorities. `files` names the passphrase's file of single keys; `new` is the
    passphrase under which all are kept from now on, None: each as it was.

    A key under the passphrase that the convenience scripts have in their text is kept plain: it protects nothing.
    """
    found = FolderKeys()
    wanted = {public_key_bytes(one.chain.leaf): fingerprint(one.chain.leaf) for one in plan.authorities}
    plain = [key for key in plan.folder.keys if not key.encrypted]
    locked = sorted(
        (key for key in plan.folder.keys if key.encrypted), key=lambda key: _unlikely(key, plan.authorities)
    )
    for key in (*plain, *locked):
        if not wanted:
            break
        try:
            opened = _open(key, passphrases, files, new)
        except EncodingError:
            continue  # a damaged key is no CA's that could be known
        except KeyUnavailable as error:
            found.locked[key.path] = error
            continue
        if (digest := wanted.pop(_spki(opened.key), None)) is not None:
            found.opened[digest] = opened
    if not wanted:
        found.locked.clear()  # somebody else's
    return found


def _open(key: FoundKey, passphrases: Passphrases, files: Mapping[Path, Path], new: str | None) -> OpenedKey:
    if not key.encrypted:
        return OpenedKey(key.path, load_private_key(key.pem), new or key.secret, was_known=key.was_known)
    try:
        return OpenedKey(key.path, load_private_key(key.pem, KNOWN_PASSWORD.encode()), new, was_known=True)
    except EncodingError:
        secret = _secret(key, passphrases, files)
    try:
        return OpenedKey(key.path, load_private_key(key.pem, secret.text.encode()), new or secret.text)
    except EncodingError as error:
        passphrases.forget(str(key.path))
        why = f"{error}; the passphrase came from {secret.source}"
        raise KeyUnavailable(f"the key {key.path} does not open", why=why, hint=_HINT) from None


def _secret(key: FoundKey, passphrases: Passphrases, files: Mapping[Path, Path]) -> Secret:
    named = files.get(key.path.resolve())
    return (Passphrases(file=named) if named is not None else passphrases).to_open(str(key.path))


def _unlikely(key: FoundKey, authorities: Sequence[Member]) -> tuple[bool, str]:
    """Sorts the keys first that are named like a CA's file: `ca.key`, `cakey.pem`, the certificate's own beginning."""
    stem = key.path.name.split(".key")[0].lower()
    named = {one.path.name.split(".cert")[0].split(".crt")[0].lower() for one in authorities}
    return not (stem in named or stem.startswith("ca") or "root" in stem), str(key.path)


def _spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_of(keys: FolderKeys, certificate: x509.Certificate) -> OpenedKey | None:
    """The key of a CA, if it is there and open."""
    return keys.opened.get(fingerprint(certificate))


_HINT = "give its passphrase with --passphrase-for KEY=FILE, or leave its CA without a key: --skip-locked"
