"""An inclusion proof that stands alone: the entry, its place, the hashes up to the root, the signed checkpoint. Pure.

It is written as C2SP tlog-proof text (whose `extra` line holds the entry) or as JSON with the same facts. Whoever holds
it and the log's public key needs nothing else.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leafward.errors import EncodingError, InputError
from leafward.store.issuance_log.checkpoint import MAX_SIZE, Checkpoint
from leafward.store.issuance_log.note import MAX_NOTE_SIZE, Note, VerifierKey
from leafward.store.issuance_log.tree import HASH_SIZE, leaf_hash, verifies_inclusion

FIRST_LINE = "c2sp.org/tlog-proof@v1"
# A tree of 2^63 entries is 63 levels high.
_MOST_HASHES = 63
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Shows that `entry` stands at `index` in the log that `note`, a signed checkpoint, is about."""

    index: int
    entry: bytes
    hashes: tuple[bytes, ...]
    note: str

    def verified(self, key: VerifierKey) -> Checkpoint:
        """The checkpoint, when `key` signed it and the entry is in it. Raises `InputError` otherwise."""
        checkpoint = Checkpoint.from_note(Note.parse(self.note.encode()), key)
        leaf = leaf_hash(self.entry)
        if not verifies_inclusion(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root):
            raise InputError(
                "the proof does not hold",
                why=f"entry {self.index} is not in the log of {checkpoint.size} entries that was signed",
                hint="ask for a new proof, and keep this one as evidence",
            )
        return checkpoint

    def __str__(self) -> str:
        """C2SP tlog-proof text."""
        lines = [FIRST_LINE, f"extra {_base64(self.entry)}", f"index {self.index}", *map(_base64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines) + self.note

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs; not verified on the way."""
        note = Note.parse(self.note.encode())
        checkpoint = Checkpoint.parse(note.text)
        return {
            "origin": checkpoint.origin,
            "index": self.index,
            "size": checkpoint.size,
            "root": _base64(checkpoint.root),
            "entry": _base64(self.entry),
            "leaf_hash": _base64(leaf_hash(self.entry)),
            "hashes": [_base64(hashed) for hashed in self.hashes],
            "checkpoint": self.note,
        }

    @classmethod
    def parse(cls, text: str) -> "InclusionProof":
        """Reads tlog-proof text; the entry must be in its `extra` line. Raises `EncodingError`."""
        head, empty, note = text.partition("\n\n")
        lines = head.split("\n")
        if not empty or len(text) > 2 * MAX_NOTE_SIZE or lines[0] != FIRST_LINE or len(lines) < 3:
            raise _malformed(f"expected {FIRST_LINE}, extra, index, hashes, and a checkpoint behind an empty line")
        entry, index = (_behind(line, word) for line, word in zip(lines[1:3], ("extra", "index"), strict=True))
        if not _INDEX.fullmatch(index):
            raise _malformed(f"got the index {index[:40]!r}")
        return cls._checked(int(index), _unbase64(entry), [_unbase64(line) for line in lines[3:]], note)

    @classmethod
    def from_json(cls, value: Any) -> "InclusionProof":
        """Reads what `to_json` gave; what follows from the rest is passed over. Raises `EncodingError`."""
        try:
            index, entry, hashes, note = (value[name] for name in ("index", "entry", "hashes", "checkpoint"))
            if type(index) is int and isinstance(note, str) and isinstance(hashes, list):
                return cls._checked(index, _unbase64(entry), [_unbase64(hashed) for hashed in hashes], note)
        except (KeyError, TypeError):
            pass
        raise _malformed("expected an object with index, entry, hashes and checkpoint")

    @classmethod
    def _checked(cls, index: int, entry: bytes, hashes: Sequence[bytes], note: str) -> "InclusionProof":
        if not 0 <= index <= MAX_SIZE or len(hashes) > _MOST_HASHES:
            raise _malformed(f"got the index {index} and {len(hashes)} hashes")
        if any(len(hashed) != HASH_SIZE for hashed in hashes):
            raise _malformed(f"expected hashes of {HASH_SIZE} bytes")
        return cls(index, entry, tuple(hashes), note)


def _behind(line: str, word: str) -> str:
    found, space, rest = line.partition(" ")
    if found != word or not space:
        raise _malformed(f"got {line[:40]!r}, expected {word} and a value")
    return rest


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if _base64(data) != text:
        raise _malformed("expected base64 with its padding")
    return data


def _malformed(why: str) -> EncodingError:
    return EncodingError("the proof is malformed", why=why, hint="give the file as it was handed out, whole")
