"""What was enrolled, on disk: numbered slots with a certificate each, and the keys that were made for them.

    FOLDER/active, 000007/certificate.pem     the chain in use, leaf first, up to the root
                   000007/key                 the reference of its key
    FOLDER/keys.json                          every key that was made here and not yet destroyed, and the one that waits
    FOLDER/keys/key-000003.pem                keys, unless the settings put them into a token, a TPM or elsewhere

A key is written down before it is made and struck out after it is destroyed, so a kill anywhere leaves none that
nobody knows, in a token either. One key at most waits for its certificate: it is used again for the next attempt, also
after a kill. That keeps keys from piling up, and it is what gets a device the certificate whose answer was lost: an EST
server gives the same key the same certificate again, and may have none for another (an account for one certificate).

The slot and key before the present ones stay until `settle`: until then the switch can be taken back.
"""

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.errors import (
    AlreadyExists,
    Damaged,
    EncodingError,
    InputError,
    KeyUnavailable,
    LeafwardError,
    NotFound,
    SettingsError,
)
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import PrivateKey, delete_key, generate_key, key_exists, open_key
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_request
from leafward.pki.key_types import KeyType
from leafward.store.home import Home
from leafward.store.slots import Slot, Slots

DEVICE_CA_FOLDER = "enrolled-device-ca"
IDENTITY_FOLDER = "enrolled-identity"

_CERTIFICATE, _KEY = "certificate.pem", "key"
_BOOK = "keys.json"
# Stands for the settings of a key that waits because it is to be kept.
_KEPT = "kept"
# A token may hold keys of an earlier life of this gateway under the names that would come next.
_MOST_TAKEN = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnrolledFiles:
    """Where an enrolled chain (leaf first) and its key are."""

    certificate: Path
    key: KeyReference


@dataclass(frozen=True)
class Waiting:
    """A key that waits for its certificate, and the request that asks for it, DER."""

    reference: KeyReference
    key: PrivateKey = field(repr=False)
    request: bytes = field(repr=False)


@dataclass(frozen=True)
class _Book:
    """`keys.json`. `base` and `kind` say under which settings the waiting key was made."""

    made: int = 0
    keys: tuple[KeyReference, ...] = ()
    waiting: KeyReference | None = None
    base: str = ""
    kind: str = ""
    request: bytes = field(default=b"", repr=False)


def enrolled_device_ca(home: Home) -> EnrolledFiles | None:
    """The device CA in use that was enrolled; None before the first. Raises `Damaged` where it does not read back."""
    return active_files(home.manager / DEVICE_CA_FOLDER)


def active_files(folder: Path) -> EnrolledFiles | None:
    """What is in use in a folder of slots; None before the first. Raises `Damaged` where it does not read back."""
    slot = Slots(folder).active()
    return None if slot is None else _files(slot, folder)


def _files(slot: Slot, folder: Path) -> EnrolledFiles:
    try:
        key = _reference(slot.read(_KEY).decode("utf-8"), folder)
    except (NotFound, UnicodeDecodeError, InputError) as error:
        hint = "restore it from a copy; to enrol anew, with the maker's consent, remove the folder"
        raise Damaged(f"{slot.path / _KEY} does not name the key", why=str(error), hint=hint) from error
    return EnrolledFiles(slot.path / _CERTIFICATE, key)


class EnrolledPairs:
    """The slots and keys in one folder. `base` is the key reference of the settings; None: files in the folder.

    For one thread at a time, of the process that holds the manager's lock.
    """

    def __init__(self, folder: Path, base: KeyReference | None, key_type: KeyType) -> None:
        self._folder = folder
        self._slots = Slots(folder)
        self._base = base or KeyReference("file", str(folder.absolute() / "keys" / "key.pem"))
        self._key_type = key_type
        key_name(self._base, 1)  # a reference that cannot be numbered is told at the start

    def active(self) -> EnrolledFiles | None:
        """See `active_files`."""
        return active_files(self._folder)

    def wait(self, build: Callable[[PrivateKey], x509.CertificateSigningRequest], *, keep_key: bool) -> Waiting:
        """The key that waits for a certificate, and its request; both are made where they are missing or do not fit.

        `build` makes the request; one that was made for the same key and subject is sent again as it was, because a
        server may answer only the same request (RFC 7030 4.2.3). `keep_key`: the key in use, where there is one.
        Raises what `generate_key` and `open_key` raise.
        """
        disk.make_folder(self._folder)
        active = self.active()
        book = self._read()
        kept = active.key if keep_key and active is not None else None
        if book.waiting is None or not self._fits(book, kept):
            book = self._another(book, kept)
        assert book.waiting is not None
        key = open_key(kept) if kept is not None else self._opened(book.waiting)
        request = build(key)
        if _is_same(book.request, request):
            return Waiting(book.waiting, key, book.request)
        der = request.public_bytes(Encoding.DER)
        self._write(replace(book, request=der))
        return Waiting(book.waiting, key, der)

    def put(self, waiting: Waiting, chain: Chain, prove: Callable[[EnrolledFiles], None]) -> EnrolledFiles:
        """Puts a chain and the key that waited for it in use, after `prove` has not refused them by raising.

        What was in use before stays on disk until `settle`. Raises what `prove` raises, with the old one in use.
        """
        slot = self._slots.begin()
        try:
            slot.write(_CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
            slot.write(_KEY, self._text(waiting.reference).encode(), mode=disk.PRIVATE)
            files = EnrolledFiles(slot.path / _CERTIFICATE, waiting.reference)
            prove(files)  # what will be found at the next start is what is proved
            self._slots.activate(slot, restorable=True)
        except LeafwardError:
            self._slots.retire()
            raise
        self._write(replace(self._read(), waiting=None, base="", kind="", request=b""))
        return files

    def settle(self) -> None:
        """What is in use has proved itself: what was in use before is destroyed, its key too. Raises `StoreError`."""
        if self._folder.is_dir():
            self._slots.settle()
            self.tidy()

    def roll_back(self) -> EnrolledFiles | None:
        """Puts what was in use before in use again, and destroys the other; None, and no change, where it is gone."""
        if not self._folder.is_dir() or self._slots.roll_back() is None:
            return None
        self.tidy()
        return self.active()

    def tidy(self) -> None:
        """Removes what is neither in use, nor kept to go back to, nor waited for: slots and keys, what a kill left.

        A key that cannot be destroyed now, because its token is away, stays in the book for the next time. Raises
        `StoreError`.
        """
        if not self._folder.is_dir():
            return
        for leftover in disk.leftovers(self._folder / _BOOK):
            disk.remove_file(leftover)
        active, book = self.active(), self._read()
        if active is not None and book.waiting == active.key and not self._keeps(book, active.key):
            book = replace(book, waiting=None, base="", kind="", request=b"")  # killed between two steps of `put`
        needed = {files.key for files in (active, self._previous()) if files is not None}
        needed |= {book.waiting} if book.waiting is not None else set()
        left = tuple(key for key in book.keys if key in needed or not _destroyed(key))
        for key in needed:
            _remove_leftovers(key)
        if self._read() != replace(book, keys=left):
            self._write(replace(book, keys=left))
        self._slots.retire()

    def _previous(self) -> EnrolledFiles | None:
        slot = self._slots.previous()
        return None if slot is None else _files(slot, self._folder)

    def _keeps(self, book: _Book, active: KeyReference) -> bool:
        """Whether the key in use waits for its next certificate, so that its request is not to be forgotten."""
        return book.base == _KEPT and book.waiting == active

    def _fits(self, book: _Book, kept: KeyReference | None) -> bool:
        if kept is not None:
            return book.waiting == kept
        return (book.base, book.kind) == (str(self._base), self._key_type.name)

    def _another(self, book: _Book, kept: KeyReference | None) -> _Book:
        """Writes down which key will wait from now on, before there is one. The one that waited goes with `tidy`."""
        if kept is not None:
            keys = book.keys if kept in book.keys else (*book.keys, kept)
            book = replace(book, keys=keys, waiting=kept, base=_KEPT, kind="", request=b"")
        else:
            made, reference = self._free(book.made)
            book = _Book(made, (*book.keys, reference), reference, str(self._base), self._key_type.name)
        self._write(book)
        return book

    def _free(self, made: int) -> tuple[int, KeyReference]:
        for number in range(made + 1, made + 1 + _MOST_TAKEN):
            reference = key_name(self._base, number)
            if not key_exists(reference):
                return number, reference
        hint = "give enrolment.key another name"
        raise AlreadyExists(f"no free name for a key like {self._base.label}", why="1000 are taken", hint=hint)

    def _opened(self, reference: KeyReference) -> PrivateKey:
        try:
            return open_key(reference)
        except NotFound:
            return generate_key(reference, self._key_type)
        except KeyUnavailable as error:
            # It was never in use. A token may only be away; a file that does not open never will.
            if reference.scheme != "file":
                raise
            _log.warning("the key that waits for a certificate is made anew: %s", error)
            delete_key(reference)
            return generate_key(reference, self._key_type)

    def _read(self) -> _Book:
        path = self._folder / _BOOK
        try:
            return self._decoded(json.loads(disk.read_file(path)))
        except NotFound:
            return _Book()
        except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            _log.warning("%s is damaged and begun anew; a key that it named may be left over: %s", path, error)
            active = self.active()
            return _Book(keys=(active.key,) if active is not None else ())

    def _decoded(self, found: dict[str, Any]) -> _Book:
        waiting = found["waiting"]
        return _Book(
            made=int(found["made"]),
            keys=tuple(_reference(text, self._folder) for text in found["keys"]),
            waiting=None if waiting is None else _reference(waiting, self._folder),
            base=str(found["base"]),
            kind=str(found["kind"]),
            request=base64.b64decode(found["request"]),
        )

    def _write(self, book: _Book) -> None:
        values = {
            "made": book.made,
            "keys": [self._text(key) for key in book.keys],
            "waiting": None if book.waiting is None else self._text(book.waiting),
            "base": book.base,
            "kind": book.kind,
            "request": base64.b64encode(book.request).decode("ascii"),
        }
        disk.write_file(self._folder / _BOOK, json.dumps(values).encode(), mode=disk.PRIVATE)

    def _text(self, reference: KeyReference) -> str:
        """A reference as it is written down: a file of ours without its folder, so that a home can be moved."""
        own = f"{self._folder.absolute()}/"
        if reference.scheme == "file" and reference.rest.startswith(own):
            return f"file:{reference.rest.removeprefix(own)}"
        return str(reference)


def key_name(base: KeyReference, number: int) -> KeyReference:
    """The reference of the key of that number: `key-000003.pem`, `object=device-ca-000003`.

    Raises `SettingsError` for one that names a single object by its id.
    """
    suffix = f"-{number:06d}"
    if base.scheme != "pkcs11":
        path = Path(base.rest)
        return KeyReference(base.scheme, str(path.with_name(f"{path.stem}{suffix}{path.suffix}")))
    path_part, mark, query = base.rest.partition("?")
    parts = path_part.split(";")
    if not any(part.startswith("object=") for part in parts) or any(part.startswith("id=") for part in parts):
        why = "each new key gets a number behind its object's name, and an id of its own"
        hint = "write pkcs11:token=LABEL;object=NAME, without id="
        raise SettingsError(f"enrolment.key '{base.label}' cannot be used", why=why, hint=hint)
    numbered = [f"{part}{suffix}" if part.startswith("object=") else part for part in parts]
    return KeyReference(base.scheme, ";".join(numbered) + mark + query)


def _reference(text: str, folder: Path) -> KeyReference:
    reference = KeyReference.parse(text)
    if reference.scheme == "file" and not reference.rest.startswith("/"):
        return KeyReference("file", str(folder.absolute() / reference.rest))
    return reference


def _is_same(der: bytes, request: x509.CertificateSigningRequest) -> bool:
    """Whether a request that was sent asks for the same: signatures differ each time, what they sign does not."""
    if not der:
        return False
    try:
        return load_request(der).tbs_certrequest_bytes == request.tbs_certrequest_bytes
    except EncodingError:
        return False


def _destroyed(key: KeyReference) -> bool:
    try:
        key_exists(key)  # looks afresh: a token that is away may pass for an empty one, in which nothing is to destroy
        delete_key(key)
    except LeafwardError as error:
        _log.warning("the old key %s is not destroyed yet: %s", key.label, error)
        return False
    return True


def _remove_leftovers(key: KeyReference) -> None:
    if key.scheme in ("file", "tpm"):
        for leftover in disk.leftovers(Path(key.rest)):
            disk.remove_file(leftover)
