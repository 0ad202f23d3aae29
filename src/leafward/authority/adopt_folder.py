"""What a folder of certificates holds, whoever made it: every certificate, key, revocation list and index in it.

No layout is asked for. A convenience script's `certs` and `private`, EasyRSA's `pki`, the `newcerts` of `openssl ca`
and a bare set of PEM files are all files with something in them; what each is, is for `adopt_plan`. Nothing is changed.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import EncodingError, LeafwardError, NotFound, UsageError
from leafward.pki.chain import fingerprint
from leafward.pki.crl import parse_reason
from leafward.pki.encoding import load_certificate, load_crls
from leafward.pki.extension import unreadable
from leafward.pki.pem import CERTIFICATE_LABELS, PRIVATE_KEY_LABELS, Block, looks_like_pem, read_blocks, write_block
from leafward.pki.revocation import UNSPECIFIED

MOST_FILES = 200_000
# A chain file has some kilobytes; an index has a line a certificate.
LARGEST_FILE, LARGEST_INDEX = 1 << 20, 1 << 27
_INDEX = "index.txt"
_DER_SUFFIXES = (".cer", ".crt", ".der")
_PKCS12_SUFFIXES = (".pfx", ".p12")
_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
# OpenSSL's words in an index that say when a key was lost, beside the reason.
_KEY_TIMES = {"keytime": "keyCompromise", "cakeytime": "cACompromise", "holdinstruction": "certificateHold"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file, or something in it, that is not taken over, and why."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A private key in PEM as it stands in a file; out of a PKCS#12 file plain, with the password that it was under.

    `was_known`: that was the convenience scripts' own.
    """

    path: Path
    pem: bytes = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    was_known: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether it wants a passphrase."""
        return b"ENCRYPTED" in self.pem


@dataclass(frozen=True, slots=True)
class RevokedLine:
    """A certificate that an index says is revoked: since when (aware UTC), and why, as RFC 5280 5.3.1 names it."""

    serial: int
    subject: str
    revoked: datetime
    reason: str
    path: Path


@dataclass
class FoundFolder:
    """Everything that was found. `paths` has the files of each certificate, by its fingerprint; the first counts.

    `stores` are PKCS#12 files, for `adopt_pkcs12`.
    """

    root: Path
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    paths: dict[str, list[Path]] = field(default_factory=dict)
    keys: list[FoundKey] = field(default_factory=list)
    crls: list[tuple[Path, x509.CertificateRevocationList]] = field(default_factory=list)
    revoked: list[RevokedLine] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    stores: list[Path] = field(default_factory=list)

    def add(self, path: Path, certificate: x509.Certificate) -> None:
        """One more certificate, or one more file of it. Raises `EncodingError` for one that cannot be read."""
        if why := unreadable(certificate):
            raise EncodingError("a certificate cannot be read", why=why)
        digest = fingerprint(certificate)
        self.certificates.setdefault(digest, certificate)
        paths = self.paths.setdefault(digest, [])
        if path not in paths:
            paths.append(path)

    @property
    def duplicates(self) -> int:
        """How many files repeat a certificate that another one has."""
        return sum(len(paths) - 1 for paths in self.paths.values())


def read_folder(root: Path) -> FoundFolder:
    """Reads every file below `root`; links to elsewhere are not followed.

    Raises `NotFound` where it is no folder, `UsageError` where it holds more files than any CA's. What is damaged is
    among the skipped.
    """
    if not root.is_dir():
        raise NotFound(f"there is no folder {root}", hint="give the folder that holds certs/, pki/ or index.txt")
    found = FoundFolder(root)
    for path in _files(root):
        try:
            _read(path, found)
        except (LeafwardError, ValueError) as error:
            found.skipped.append(Skipped(path, str(error)))
    return found


def _files(root: Path) -> Iterator[Path]:
    count = 0
    for folder, below, names in os.walk(root):
        below.sort()
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                what = f"{root} holds more than {MOST_FILES} files"
                raise UsageError(what, hint="give the folder of the CA itself")
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _read(path: Path, found: FoundFolder) -> None:
    if path.name == _INDEX:
        found.revoked += _index_lines(path, disk.read_file(path, limit=LARGEST_INDEX), found)
        return
    if path.stat().st_size > LARGEST_FILE:
        return
    data = disk.read_file(path, limit=LARGEST_FILE)
    if looks_like_pem(data):
        _read_pem(path, data, found)
    elif path.suffix.lower() in _PKCS12_SUFFIXES and data[:1] == b"\x30":
        found.stores.append(path)
    elif path.suffix.lower() in _DER_SUFFIXES and data[:1] == b"\x30":
        found.add(path, load_certificate(data))


def _read_pem(path: Path, data: bytes, found: FoundFolder) -> None:
    # A key is kept as its own text: the old encryption has its parameters in lines that a block does not carry.
    keys = [match.group(0) + b"\n" for match in _KEY.finditer(data)]
    for block in read_blocks(data):
        if block.label in CERTIFICATE_LABELS:
            found.add(path, load_certificate(write_block("CERTIFICATE", block.data)))
        elif block.label in PRIVATE_KEY_LABELS:
            found.keys.append(FoundKey(path, keys.pop(0)))
        elif block.label == "X509 CRL":
            found.crls += [(path, crl) for crl in load_crls(write_block(block.label, block.data))]
        elif _is_foreign(block):
            found.skipped.append(Skipped(path, f"it holds {block.name}"))


def _is_foreign(block: Block) -> bool:
    """Requests and parameters belong into such a folder, and nothing is made of them."""
    return "REQUEST" not in block.label and "PARAMETERS" not in block.label


def _index_lines(path: Path, data: bytes, found: FoundFolder) -> Iterator[RevokedLine]:
    """The revoked ones of an index (`openssl ca`): status, end, revocation, serial, file, subject, by tabs."""
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        if not line.startswith("R"):
            continue
        try:
            _, _, revocation, serial, _, subject = line.split("\t")
            when, _, reason = revocation.partition(",")
            yield RevokedLine(int(serial, 16), subject, _time(when), _reason(reason), path)
        except ValueError as error:
            found.skipped.append(Skipped(path, f"line {number} cannot be read: {error}"))


def _time(text: str) -> datetime:
    """UTCTime or GeneralizedTime (RFC 5280 4.1.2.5): two digits of a year from 50 on mean the last century."""
    if len(text) == len("YYMMDDHHMMSSZ"):
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _reason(text: str) -> str:
    word = text.partition(",")[0]
    if not word:
        return UNSPECIFIED
    try:
        return _KEY_TIMES.get(word.lower()) or parse_reason(word)
    except UsageError:
        return UNSPECIFIED
