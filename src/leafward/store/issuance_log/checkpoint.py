"""C2SP tlog-checkpoint: what a log says of itself at one size, as the text of a signed note. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass

from leafward.errors import EncodingError, InputError
from leafward.store.issuance_log.note import Note, VerifierKey
from leafward.store.issuance_log.tree import HASH_SIZE

# Every database and every reader holds a size in 63 bits.
MAX_SIZE = (1 << 63) - 1

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` had `size` entries, and over them the root hash `root` (RFC 6962 2.1)."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Reads the text of a checkpoint note. Extension lines are passed over. Raises `EncodingError`."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise _malformed("expected three lines: origin, size, root hash")
        origin, size, root = lines[:3]
        if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
            raise _malformed(f"got the size {size[:40]!r}, expected a decimal number")
        return cls(origin, int(size), _root(root))

    @classmethod
    def from_note(cls, note: Note, key: VerifierKey) -> "Checkpoint":
        """The checkpoint in a note that `key` signed, of the log that is named like the key.

        Raises `EncodingError` for a malformed one, `InputError` for one of another log or another signer.
        """
        found = cls.parse(note.opened(key))
        if found.origin != key.name:
            raise InputError("the checkpoint is of another log", why=f"got {found.origin!r}, expected {key.name!r}")
        return found


def _root(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_SIZE or base64.b64encode(root).decode() != text:
        raise _malformed("expected the root hash, 32 bytes in base64")
    return root


def _malformed(why: str) -> EncodingError:
    return EncodingError("the checkpoint is malformed", why=why, hint="give the file as it was handed out, whole")
