"""How the certificates of a lot are handed over: files in a folder, a tar file, or JSON lines.

Nothing comes here that is not durable in the ledger. `deliver` hands over, `settle` returns when a power cut cannot
undo what was delivered; only then is it written down as delivered. What was delivered and not settled is delivered
again by the next run: the same files with the same contents, or the same lines once more.
"""

import base64
import contextlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote

from leafward.authority.proofs import ENDING as PROOF_ENDING
from leafward.disk import PUBLIC, make_folder, told
from leafward.errors import AlreadyExists
from leafward.pki.pem import write_block
from leafward.store.lots import Made, Rejection

_LABEL = "CERTIFICATE"
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
# Characters that no file system and no shell takes for anything else.
_PLAIN = " !#$&'()+,;=@[]{}^~"


class Sink(Protocol):
    """Where certificates go. `seconds_unsettled`: how long what was delivered may wait to be settled."""

    seconds_unsettled: float

    def deliver(self, made: Sequence[Made]) -> None:
        """Hands certificates over. Raises `StoreError` where they cannot be written."""

    def reject(self, rejections: Sequence[Rejection]) -> None:
        """Tells of requests that got none."""

    def settle(self) -> None:
        """Returns when all that was delivered lasts."""

    def close(self) -> None:
        """Ends it; what was settled stays."""


def file_name(name: str, ending: str = ".pem") -> str:
    """The file of a name: itself where it can be one, else with %-escapes (RFC 3986 2.1).

    >>> file_name("line-4/pump 7")
    'line-4%2Fpump 7.pem'
    """
    written = quote(name, safe=_PLAIN)
    return f"{'%2E' + written[1:] if written.startswith('.') else written}{ending}"


def _files(made: Made, issuers: bytes) -> list[tuple[str, bytes]]:
    """The files of a certificate, its proof first: who finds the certificate finds both."""
    proof = [] if made.proof is None else [(file_name(made.name, PROOF_ENDING), made.proof.encode())]
    return [*proof, (file_name(made.name), write_block(_LABEL, made.der) + issuers)]


class FolderSink:
    """A file a certificate: `NAME.pem`, the whole chain, leaf first; `NAME.tlog-proof` where proofs are wanted.

    A file appears whole or not at all.
    """

    seconds_unsettled = 5.0

    def __init__(self, folder: Path, issuers: bytes) -> None:
        self._folder, self._issuers = folder, issuers
        make_folder(folder, 0o755)

    def deliver(self, made: Sequence[Made]) -> None:
        """See `Sink.deliver`."""
        for one in made:
            for name, data in _files(one, self._issuers):
                self._write(self._folder / name, data)

    def _write(self, path: Path, data: bytes) -> None:
        with told(f"cannot write {path}"):
            # Not made durable here: `settle` does it for all at once, which costs a hundredth.
            new = path.with_name(f".{path.name}.new")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PUBLIC)
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                new.rename(path)
            except OSError:
                with contextlib.suppress(OSError):  # on a full disk the half of it is room for others
                    new.unlink()
                raise

    def reject(self, rejections: Sequence[Rejection]) -> None:
        """Rejections are in the reconciliation."""

    def settle(self) -> None:
        """See `Sink.settle`."""
        os.sync()

    def close(self) -> None:
        """See `Sink.close`."""


class TarSink:
    """The same files in a tar file (POSIX.1-2001 pax). A further run adds to the file."""

    seconds_unsettled = 5.0

    def __init__(self, path: Path, issuers: bytes) -> None:
        self._path, self._issuers = path, issuers
        make_folder(path.parent, 0o755)
        with told(f"cannot write {path}"):
            self._file = path.open("r+b" if path.exists() else "x+b")
            try:
                self._file.seek(_end_of_members(self._file, path))
                self._file.truncate()
            except BaseException:
                self._file.close()
                raise

    def deliver(self, made: Sequence[Made]) -> None:
        """See `Sink.deliver`."""
        with told(f"cannot write {self._path}"):
            files = [file for one in made for file in _files(one, self._issuers)]
            self._file.write(b"".join(_member(name, data) for name, data in files))

    def reject(self, rejections: Sequence[Rejection]) -> None:
        """Rejections are in the reconciliation."""

    def settle(self) -> None:
        """See `Sink.settle`. Ends the archive, and goes back before its end for what comes next."""
        with told(f"cannot write {self._path}"):
            end = self._file.tell()
            self._file.write(bytes(2 * tarfile.BLOCKSIZE))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.seek(end)

    def close(self) -> None:
        """See `Sink.close`."""
        with contextlib.suppress(OSError):  # what a full disk did not take was not settled, and comes again
            self._file.close()


def _member(name: str, data: bytes) -> bytes:
    about = tarfile.TarInfo(name)
    about.size, about.mode = len(data), PUBLIC
    return about.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


class JsonSink:
    """A JSON object a line: first the lot with the issuers' certificates, then each certificate and rejection."""

    seconds_unsettled = 0.5

    def __init__(self, stream: IO[bytes], lot: str, issuers: bytes) -> None:
        self._stream = stream
        self._write([_ENCODE({"event": "lot", "lot": lot, "issuers": issuers.decode()})])

    def deliver(self, made: Sequence[Made]) -> None:
        """See `Sink.deliver`."""
        self._write([_issued(one) for one in made])

    def reject(self, rejections: Sequence[Rejection]) -> None:
        """See `Sink.reject`."""
        self._write([_ENCODE({"event": "rejected", **rejection_facts(one)}) for one in rejections])

    def settle(self) -> None:
        """A file is made durable; who reads a pipe answers for what was read."""
        with told("cannot write to standard output"):
            self._stream.flush()
            try:
                os.fsync(self._stream.fileno())
            except (OSError, io.UnsupportedOperation):  # a pipe, a terminal
                return

    def close(self) -> None:
        """The stream is its owner's to close."""

    def _write(self, values: Sequence[str]) -> None:
        lines = "".join(f"{value}\n" for value in values)
        with told("cannot write to standard output"):
            self._stream.write(lines.encode("utf-8", "surrogatepass"))
            self._stream.flush()


def _issued(made: Made) -> str:
    """An event, written by hand: of its values only the name may need escapes."""
    text = base64.b64encode(made.der).decode("ascii")
    body = "\\n".join([text[start : start + 64] for start in range(0, len(text), 64)])
    certificate = f"-----BEGIN {_LABEL}-----\\n{body}\\n-----END {_LABEL}-----\\n"
    proof = "" if made.proof is None else f', "proof": {_ENCODE(made.proof)}'
    return (
        f'{{"event": "issued", "name": {_ENCODE(made.name)}, "serial": "{made.serial}", "sha256": "{made.sha256}", '
        f'"certificate": "{certificate}"{proof}}}'
    )


def rejection_facts(one: Rejection) -> dict[str, object]:
    """A rejection as JSON values."""
    return {"name": one.name, "source": one.source, "code": one.code, "reason": one.reason}


def _end_of_members(file: IO[bytes], path: Path) -> int:
    """Where the next member goes: after the last whole one. A kill may have cut the last one off."""
    size = os.fstat(file.fileno()).st_size
    end = 0
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                after = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if after > size:
                    break
                end = after
    except tarfile.TarError as error:
        if size and not end:
            hint = "name another file with --out"
            raise AlreadyExists(f"{path} is no tar file", why=str(error), hint=hint) from error
    return end
