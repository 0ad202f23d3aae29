"""The maker's certificate authorities on disk: roots and intermediates, each a folder with its chain and its key.

    authorities/NAME/certificate.pem    the CA certificate and its issuers up to the root, leaf first
    authorities/NAME/key.pem            its private key, 0600; or
    authorities/NAME/key.ref            the reference of a key that is in a token or elsewhere, 0600; or neither of the
                                        two: a CA whose key is on another machine, or at another company
    authorities/NAME/request.pem        what was asked for, where somebody else signs; alone until the answer is there
    authorities/NAME/further/….pem      the same name and key under other issuers (cross-signed, or renewed since)
    authorities/NAME/rollover/….pem     a root that took another's place: RFC 7030 4.1.3's three certificates

A folder appears whole or not at all: it is filled under another name, made durable, then renamed.
"""

import contextlib
import hashlib
import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.authority.authority import Authority, Request
from leafward.errors import AlreadyExists, LeafwardError, NotFound
from leafward.keys import passphrase
from leafward.keys.key_store import KeyReference, PrivateKey, delete_key, generate_key
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.key_types import KeyType
from leafward.pki.names import common_name as common_name_of

__all__ = ["CERTIFICATE", "KEY", "Authorities", "Authority", "Request", "short_name"]

CERTIFICATE = "certificate.pem"
KEY = "key.pem"
KEY_REFERENCE = "key.ref"
REQUEST = "request.pem"
FURTHER = "further"
ROLLOVER = "rollover"

Issue = Callable[[PrivateKey], Chain]
Files = Callable[[], Mapping[str, bytes]]


class Authorities:
    """The maker's CAs. Safe against a kill at any instant; one process writes at a time (the home's lock)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "authorities"

    def __iter__(self) -> Iterator[Authority]:
        """Roots first, then each CA after its issuer, by name within a level. What waits for its answer is left out."""
        found = [self._read(path) for path in self._folders() if (path / CERTIFICATE).exists()]
        return iter(sorted(found, key=lambda authority: (len(authority.chain), authority.name)))

    def requests(self) -> list[Request]:
        """The CAs that wait for somebody else's signature, by name."""
        waiting = (path for path in self._folders() if not (path / CERTIFICATE).exists() and (path / REQUEST).exists())
        return [Request(path.name, disk.read_file(path / REQUEST), self._key(path)) for path in waiting]

    def get(self, wanted: str) -> Authority:
        """The CA with this name, common name, or beginning of a SHA-256 fingerprint (8 characters or more).

        Raises `NotFound`; where several answer, it lists them with their fingerprints.
        """
        everyone = list(self)
        named = [authority for authority in everyone if authority.name == wanted]
        matches = named or [authority for authority in everyone if _answers_to(authority, wanted)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            why, hint = f"{len(matches)} match: {_listed(matches)}", "give the short name or the fingerprint of one"
            raise NotFound(f"which authority {wanted!r} is meant is not clear", why=why, hint=hint)
        raise NotFound(f"no authority {wanted!r}", why="none matches", hint="leafward ca list")

    def default_issuer(self) -> Authority:
        """The last CA of the only hierarchy whose key is at hand; else a choice has to be made by name."""
        able = [authority for authority in self if authority.key is not None]
        if not able:
            raise NotFound("there is no authority yet", hint='leafward ca init --cn "Example Root CA"')
        tops = {authority.chain.top.subject.public_bytes() for authority in able}
        deepest = [a for a in able if len(tops) > 1 or len(a.chain) == len(able[-1].chain)]
        if len(deepest) > 1:
            hierarchies = f"{len(tops)} hierarchies: " if len(tops) > 1 else ""
            why = f"got {hierarchies}{_listed(deepest)}"
            raise NotFound("which authority shall sign is not clear", why=why, hint="give --issuer NAME")
        return deepest[0]

    def add(
        self,
        common_name: str,
        key_type: KeyType,
        issue: Issue,
        *,
        at: KeyReference | None = None,
        record: Callable[[Chain], object] | None = None,
        recorded: Callable[[Chain], bool] | None = None,
        name: str | None = None,
        files: Files | None = None,
    ) -> Authority:
        """Makes a CA: a new key (in its folder, or `at` a reference), and the chain that `issue` makes for it.

        `files` gives what else belongs into the folder (name -> bytes). `record` is called when all of it is durable
        and before anybody can see it; `recorded` tells of a chain whether that was done: a run that was killed in
        between is finished by the next one. Whatever fails, nothing is left. Raises `AlreadyExists` for a name in use.
        """
        folder = self._free(name or short_name(common_name))
        if finished := self._finish(folder, key_type, recorded):
            return finished
        with self._filling(folder, key_type, at) as (filling, key):
            chain = issue(key)
            disk.write_file(filling / CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
            _write_all(filling, files() if files else {})
            if record is not None:
                record(chain)
        self._put_in_place(filling, folder)
        return self._read(folder)

    def add_request(
        self, common_name: str, key_type: KeyType, ask: Callable[[PrivateKey], bytes], *, at: KeyReference | None = None
    ) -> Request:
        """Makes a key, and keeps what `ask` writes for it: a CA that waits until somebody else has signed it."""
        folder = self._free(short_name(common_name))
        with self._filling(folder, key_type, at) as (filling, key):
            disk.write_file(filling / REQUEST, ask(key), mode=disk.PUBLIC)
        self._put_in_place(filling, folder)
        return Request(folder.name, disk.read_file(folder / REQUEST), self._key(folder))

    def complete(self, request: Request, chain: Chain) -> Authority:
        """Gives a waiting CA the chain that somebody signed; the caller has checked that it is the answer."""
        folder = self.folder / request.name
        disk.create_file(folder / CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
        return self._read(folder)

    def add_known(self, name: str, chain: Chain, key: KeyReference | None) -> Authority:
        """A CA made elsewhere, with the reference of its key where that can be reached from here."""
        folder = self._free(name)
        filling = self._begin(folder)
        if key is not None:
            disk.write_file(filling / KEY_REFERENCE, f"{key}\n".encode(), mode=disk.PRIVATE)
        disk.write_file(filling / CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
        self._put_in_place(filling, folder)
        return self._read(folder)

    def attach_key(self, authority: Authority, key: KeyReference) -> Authority:
        """Says where the key of a CA is that was known without one; the caller has proved that it is the CA's."""
        folder = self.folder / authority.name
        disk.write_file(folder / KEY_REFERENCE, f"{key}\n".encode(), mode=disk.PRIVATE)
        return self._read(folder)

    def add_further(self, authority: Authority, chain: Chain) -> Path:
        """Keeps another chain of a CA's name and key. Where it is kept; the same one again changes nothing."""
        folder = self.folder / authority.name / FURTHER
        disk.make_folder(folder)
        path = folder / f"{fingerprint(chain.leaf)}.pem"
        disk.write_file(path, chain.to_pem(), mode=disk.PUBLIC)
        return path

    def renew(self, authority: Authority, chain: Chain) -> Authority:
        """Puts a newer chain of a CA's name and key in its place; the old one is kept among the further ones."""
        self.add_further(authority, authority.chain)
        disk.write_file(self.folder / authority.name / CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
        return self._read(self.folder / authority.name)

    def rollover_certificates(self, root: Authority) -> tuple[Chain, ...]:
        """RFC 7030 4.1.3: OldWithOld, OldWithNew, NewWithOld of a root that took another's place, each with its issuer;
        none for one that did not.
        """
        folder = self.folder / root.name / ROLLOVER
        if not folder.is_dir():
            return self._imported_rollover(root)
        names = ("old-with-old.pem", "old-with-new.pem", "new-with-old.pem")
        return tuple(Chain.from_pem(disk.read_file(folder / name)) for name in names)

    def _imported_rollover(self, root: Authority) -> tuple[Chain, ...]:
        """The three of a rollover that was made on another machine: two roots of one name, each signed by the other."""
        older = [other for other in self if other.is_root and _age(other) < _age(root)]
        for other in sorted(older, key=_age, reverse=True):
            old_with_new = next((one for one in other.further if one.top == root.chain.leaf), None)
            new_with_old = next((one for one in root.further if one.top == other.chain.leaf), None)
            if other.chain.leaf.subject == root.chain.leaf.subject and old_with_new and new_with_old:
                return other.chain, old_with_new, new_with_old
        return ()

    def free_name(self, name: str) -> str:
        """`name`, or the first of `name-2`, `name-3`, … that is not taken."""
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        return next(one for one in names if not (self.folder / one).exists())

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if not path.name.startswith("."))

    def _free(self, name: str) -> Path:
        folder = self.folder / name
        if folder.exists():
            waits = (
                "" if (folder / CERTIFICATE).exists() else "; it waits for its signed certificate: leafward ca import"
            )
            raise AlreadyExists(f"an authority {name!r} exists", why=f"{folder}{waits}", hint="choose another name")
        return folder

    def _finish(self, folder: Path, key_type: KeyType, recorded: Callable[[Chain], bool] | None) -> Authority | None:
        filling = self.folder / f".{folder.name}.new"
        if recorded is None or not (filling / CERTIFICATE).exists():
            return None
        chain = Chain.from_pem(disk.read_file(filling / CERTIFICATE))
        if not recorded(chain) or not key_type.matches(chain.leaf.public_key()):
            return None
        self._put_in_place(filling, folder)
        return self._read(folder)

    def _begin(self, folder: Path) -> Path:
        filling = self.folder / f".{folder.name}.new"
        _remove_leftover(filling)
        disk.make_folder(filling)
        return filling

    @contextlib.contextmanager
    def _filling(self, folder: Path, key_type: KeyType, at: KeyReference | None) -> Iterator[tuple[Path, PrivateKey]]:
        """A folder to fill, with a new key in it or at a reference; both are gone again where that fails."""
        filling = self._begin(folder)
        reference = at or KeyReference("file", str(filling / KEY))
        made = False
        try:
            key = generate_key(reference, key_type, passphrase.in_use())
            made = True
            if at is not None:
                disk.write_file(filling / KEY_REFERENCE, f"{at}\n".encode(), mode=disk.PRIVATE)
            yield filling, key
        except LeafwardError:
            if made:
                delete_key(reference)
            _remove_leftover(filling)
            raise

    def _put_in_place(self, filling: Path, folder: Path) -> None:
        with disk.told(f"cannot put the authority {folder.name!r} in its place"):
            filling.rename(folder)
            disk.sync_folder(self.folder)

    def _read(self, folder: Path) -> Authority:
        further = sorted((folder / FURTHER).glob("*.pem"))
        return Authority(
            folder.name,
            Chain.from_pem(disk.read_file(folder / CERTIFICATE)),
            self._key(folder),
            tuple(Chain.from_pem(disk.read_file(path)) for path in further),
        )

    def _key(self, folder: Path) -> KeyReference | None:
        if (folder / KEY).exists():
            return KeyReference("file", str((folder / KEY).absolute()))
        if (folder / KEY_REFERENCE).exists():
            return KeyReference.parse(disk.read_file(folder / KEY_REFERENCE).decode().strip())
        return None


def short_name(text: str) -> str:
    """A folder's name for a common name. Where more than blanks is lost on the way, a digest tells two names apart.

    >>> short_name("Azure IoT Hub CA Cert Test Only")
    'azure-iot-hub-ca-cert-test-only'
    >>> short_name("Önter CA"), short_name("..")
    ('nter-ca-b7c404db', '5ec1f7e7')
    """
    kept = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.")
    if kept and re.fullmatch(r"[A-Za-z0-9._ -]+", text):
        return kept
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{kept}-{digest}" if kept else digest


def _answers_to(authority: Authority, wanted: str) -> bool:
    if wanted == common_name_of(authority.chain.leaf.subject):
        return True
    return len(wanted) >= 8 and fingerprint(authority.chain.leaf).startswith(wanted.lower())


def _listed(authorities: list[Authority]) -> str:
    return ", ".join(f"{one.name} ({fingerprint(one.chain.leaf)[:16]})" for one in authorities)


def _age(authority: Authority) -> tuple[datetime, int, str]:
    """Orders roots by age; of the same second, the one that was named first (`root` before `root-2`)."""
    return authority.chain.leaf.not_valid_before_utc, len(authority.name), authority.name


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        disk.make_folder(path.parent)
        disk.write_file(path, data, mode=disk.PUBLIC)


def _remove_leftover(folder: Path) -> None:
    """What a killed run left half-filled: a key that signed nothing we kept."""
    if folder.exists():
        with disk.told(f"cannot remove {folder}"):
            shutil.rmtree(folder)
