"""What a file holds: certificates, keys (their public halves), revocation lists, requests, and its faults.

Reads what can be read of a damaged file, and tells what cannot: a reader that refuses the whole file could only ever
name its first fault. Which part a file plays is for `case_files.py`.
"""

import re
from dataclasses import dataclass, replace

from cryptography import x509

from leafward.doctor.case import FileFault
from leafward.doctor.der_contents import Found, nothing_in, read_der
from leafward.doctor.file_reader import FileRead
from leafward.doctor.locked import Password, key_of, locked_fault, no_password
from leafward.errors import EncodingError
from leafward.pki.key_types import PublicKey
from leafward.pki.pem import CERTIFICATE_LABELS, PRIVATE_KEY_LABELS, Block, read_blocks

# More objects than any bundle has: a system's trust bundle holds 150 certificates.
MAX_OBJECTS = 1000
_BEGIN = re.compile(rb"^[ \t]*(?:\xef\xbb\xbf)?[ \t]*-----BEGIN ", re.MULTILINE)
_ESCAPED = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----\\n")
_ON_ONE_LINE = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}----- +[A-Za-z0-9+/]{16}")
_READ = frozenset({*CERTIFICATE_LABELS, "X509 CRL", "PKCS7", "CMS"})
_UTF8_MARK, _UTF16_MARKS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
_COPY = "Copy the file again from where it was made; a PEM block is whole from its BEGIN line to its END line."


@dataclass(frozen=True, eq=False)
class FileContents:
    """A file that was read. `others` names in words what it holds beside certificates, keys and lists."""

    path: str
    certificates: tuple[x509.Certificate, ...] = ()
    keys: tuple[PublicKey, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    others: tuple[str, ...] = ()
    faults: tuple[FileFault, ...] = ()
    a_set: bool = False  # PKCS#7: the order of its certificates means nothing
    locked: bool = False  # it holds a key, or is a PKCS#12 file, that no password at hand opens

    @property
    def useful(self) -> bool:
        """Whether there is anything that a chain could be judged by."""
        return bool(self.certificates or self.keys or self.crls or self.locked)

    @property
    def has_key(self) -> bool:
        """Whether a private key is in it, opened or not."""
        return bool(self.keys) or self.locked


def contents(file: FileRead, password: Password = no_password) -> FileContents:
    """Everything in a file, with its faults. Never raises for what the file holds."""
    path = str(file.path)
    if file.data is None:
        return FileContents(path, faults=(_not_read(file),))
    found, faults = _contents(path, file.data, password)
    read = FileContents(
        path,
        tuple(found.certificates),
        tuple(found.keys),
        tuple(found.crls),
        tuple(found.others),
        tuple(faults),
        found.a_set,
        found.locked,
    )
    return replace(read, faults=(*read.faults, *_openness(read, file.mode)))


def _contents(path: str, data: bytes, password: Password) -> tuple[Found, list[FileFault]]:
    if not data.strip():
        fix = "Name the file that holds the certificates; this one was created and never written."
        return Found(), [FileFault("no-certificate", path, "an empty file", "a certificate", fix)]
    if data.startswith(_UTF16_MARKS):
        fix = "Save it as plain text (ASCII or UTF-8): iconv -f UTF-16 -t ASCII FILE > PLAIN"
        return Found(), [FileFault("not-pem", path, "text in UTF-16", "PEM in ASCII", fix)]
    if (joined := _lines_lost(path, data)) is not None:
        return Found(), [joined]
    if not _BEGIN.search(data):
        return _without_begin(path, data, password)
    return _Pem(path, password).read(data)


def _lines_lost(path: str, data: bytes) -> FileFault | None:
    """PEM that went through JSON, an environment variable or a shell, which took its line ends."""
    expected = "PEM with its line ends"
    if _ESCAPED.search(data):
        fix = "Write the line ends themselves: jq -r from JSON, printf '%b' \"$VARIABLE\" > FILE from a variable."
        return FileFault("not-pem", path, "line ends written as \\n", expected, fix)
    if _ON_ONE_LINE.search(data):
        fix = "Copy the file again; in a shell put the variable in quotes: printf '%s\\n' \"$VARIABLE\" > FILE"
        return FileFault("not-pem", path, "a PEM block whose lines were joined into one", expected, fix)
    return None


def _without_begin(path: str, data: bytes, password: Password) -> tuple[Found, list[FileFault]]:
    if b"-----END " in data:
        got = "a PEM block that ends and never began"
        return Found(), [FileFault("truncated-pem", path, got, "a whole PEM block", _COPY)]
    try:
        found = read_der(data, path, password)
    except EncodingError:
        return Found(), [nothing_in(path, data)]
    return found, [locked_fault(path)] if found.locked else []


class _Pem:
    """Reads a PEM file block by block, each on its own, so that one damaged block does not hide the others."""

    def __init__(self, path: str, password: Password) -> None:
        self._path = path
        self._password = password
        self.found = Found()
        self.faults: list[FileFault] = []

    def read(self, data: bytes) -> tuple[Found, list[FileFault]]:
        """What is in the blocks, and what is wrong with them or around them."""
        starts = [match.start() for match in _BEGIN.finditer(data)]
        if b"-----END " in data[: starts[0]]:
            self._fault("truncated-pem", "a PEM block that ends and never began", "a whole PEM block", _COPY, 1)
        line = 1 + data.count(b"\n", 0, starts[0])
        for start, end in zip(starts[:MAX_OBJECTS], [*starts[1:], len(data)], strict=False):
            piece = data[start:end]
            self._piece(piece, line)
            line += piece.count(b"\n")
        if len(starts) > MAX_OBJECTS:
            got, most = f"{len(starts)} objects", f"at most {MAX_OBJECTS}"
            self._fault("file-not-readable", got, most, "Split the file, and name the part that matters.", None)
        self._around(data)
        return self.found, self.faults

    def _piece(self, piece: bytes, line: int) -> None:
        if piece[:1] in b" \t":
            fix = "Take out the blanks before each line: sed 's/^[ \\t]*//' FILE > PLAIN"
            self._fault("not-pem", "a PEM block that is indented", "lines that begin at the margin", fix, line)
            return
        try:
            blocks = read_blocks(piece)
        except EncodingError as error:
            self._fault("truncated-pem", error.why or error.what, "base64 between BEGIN and END", _COPY, line)
            return
        for block in blocks:
            self._block(block, piece, line)

    def _block(self, block: Block, piece: bytes, line: int) -> None:
        if block.label in PRIVATE_KEY_LABELS:
            key, fault = key_of(piece, block, self._path, self._password)
            self.found.locked |= fault is not None and fault.code == "key-encrypted"
            self.found.keys += [key] if key is not None else []
            self.faults += [replace(fault, line=line)] if fault else []
            return
        if block.label not in _READ:
            self.found.others += [] if block.label == "EC PARAMETERS" else [block.name]
            return
        try:
            self.found.add(read_der(block.data, self._path, self._password))
        except EncodingError as error:
            self._fault("certificate-malformed", error.why or error.what, f"{block.name} in DER", _COPY, line)

    def _around(self, data: bytes) -> None:
        if b"\n" not in data and b"\r" in data:
            fix = "Write it with LF line ends: tr '\\r' '\\n' < FILE > PLAIN"
            self._fault("not-pem", "lines that end with CR alone", "lines that end with LF", fix, None)
        got = ["a byte order mark"] if _UTF8_MARK in data[:3] else []
        got += ["CRLF line ends"] if b"\r\n" in data else []
        if got:
            fix = "Most stacks read it all the same; to be sure: sed 's/\\r$//; 1s/^\\xef\\xbb\\xbf//' FILE > PLAIN"
            fault = FileFault("pem-crlf-or-bom", self._path, " and ".join(got), "LF, and nothing before BEGIN", fix)
            self.faults.append(replace(fault, severity="info"))

    def _fault(self, code: str, got: str, expected: str, fix: str, line: int | None) -> None:
        self.faults.append(FileFault(code, self._path, got, expected, fix, line=line))


def _not_read(file: FileRead) -> FileFault:
    path = str(file.path)
    if file.missing:
        fix = "Check the path. For a server write HOST:PORT, as gateway.local:8883."
        return FileFault("file-missing", path, "nothing", "a file", fix)
    fix = "Run as the user that may read it, or name another file: ls -l shows who may."
    return FileFault("file-not-readable", path, file.why, "a file that this user may read", fix)


def _openness(read: FileContents, mode: int | None) -> list[FileFault]:
    """A private key that others on this machine may read. OpenSSL does not look; our manager refuses it."""
    if mode is None or not read.has_key or not mode & 0o077:
        return []
    fix = f"chmod 600 {read.path}; if others use this machine, make a new key and certificate."
    return [
        FileFault("file-too-open", read.path, f"mode {mode:04o}", "mode 0600 for a private key", fix, "warning"),
    ]
