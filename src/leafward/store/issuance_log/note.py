"""C2SP signed-note: a text signed with keys that have names. Pure; the caller brings what signs.

    the text, one or more lines
                                                          an empty line
    — name base64(key id || signature)                    a line a signature

A note may carry signatures of keys we do not know (witnesses, other algorithms): they are kept and passed over.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leafward.errors import EncodingError, InputError
from leafward.store.issuance_log.signature_types import ED25519, TYPES

# Bounds against hostile notes; signed-note asks for 16 signatures at least.
MAX_NOTE_SIZE = 1 << 20
MAX_SIGNATURES = 100

_KEY_ID_SIZE = 4
_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class NoteSigner(Protocol):
    """A private key with its name. Never shows the key."""

    @property
    def verifier(self) -> "VerifierKey":
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """The signature, as the kind of the verifier key has it (`signature_types.py`)."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name, as others are given it ("vkey"). `kind` is the byte of its signature type.

    >>> VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").name
    'example.com/foo'
    """

    name: str
    public_key: bytes
    kind: bytes = ED25519

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise EncodingError(f"{self.name!r} is no name of a key", why="expected no space and no '+' in it")
        if self.kind not in TYPES:
            known = " or ".join(f"0x{code.hex()} ({one.name})" for code, one in TYPES.items())
            raise EncodingError("the verifier key is of another kind", why=f"got 0x{self.kind.hex()}, expected {known}")
        TYPES[self.kind].check(self.public_key)

    @property
    def key_id(self) -> bytes:
        """The four bytes that name it in a signature line."""
        return TYPES[self.kind].key_id(self.name, self.public_key)

    @property
    def algorithm(self) -> str:
        """Its kind for people: "Ed25519", "ECDSA"."""
        return TYPES[self.kind].name

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Reads name+hex(key id)+base64(type || key). Raises `EncodingError`, also when the id is not the key's."""
        name, key_id, encoded = [*text.strip().split("+", 2), "", ""][:3]
        material = _unbase64(encoded, "the verifier key")
        key = cls(name, material[1:], material[:1])
        if key_id != key.key_id.hex():
            raise EncodingError(
                "the verifier key is damaged", why=f"got the id {key_id!r}, expected {key.key_id.hex()!r}"
            )
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.kind + self.public_key).decode()}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether this key made `signature` over `message`."""
        return TYPES[self.kind].verifies(self.public_key, message, signature)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, verified or not."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, with its last newline, and its signatures, none of them verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Note":
        """Reads a note strictly. Raises `EncodingError`."""
        if len(data) > MAX_NOTE_SIZE:
            raise _malformed(f"got {len(data)} bytes, expected {MAX_NOTE_SIZE} at most")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed("it is not UTF-8") from None
        if _CONTROL.search(whole):
            raise _malformed("it has a control character")
        text, empty, lines = whole.rpartition("\n\n")
        if not empty or not lines.endswith("\n"):
            raise _malformed("expected an empty line, then signatures")
        signatures = tuple(_signature(line) for line in lines[:-1].split("\n"))
        if len(signatures) > MAX_SIGNATURES:
            raise _malformed(f"got {len(signatures)} signatures, expected {MAX_SIGNATURES} at most")
        return cls(f"{text}\n", signatures)

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def opened(self, *keys: VerifierKey) -> str:
        """The text, when one of `keys` signed it. Raises `InputError` otherwise.

        Signatures of other keys are passed over. One that names a known key and does not verify spoils the note.
        """
        signed = False
        for signature in self.signatures:
            for key in keys:
                if (key.name, key.key_id) == (signature.name, signature.key_id):
                    if not key.verifies(self.text.encode(), signature.signature):
                        raise InputError("the note is damaged or forged", why=f"the signature of {key.name} is wrong")
                    signed = True
        if not signed:
            got = ", ".join(f"{found.name} ({found.key_id.hex()})" for found in self.signatures)
            expected = " or ".join(f"{key.name} ({key.key_id.hex()})" for key in keys)
            raise InputError("the note is not signed by the log", why=f"got signatures of {got}, expected {expected}")
        return self.text


def sign_note(text: str, *signers: NoteSigner, others: Sequence[Signature] = ()) -> Note:
    """`text` signed by `signers`, and with the signatures of `others` behind. Raises `EncodingError` for a bad text."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise _malformed("a text ends with a newline and has no other control character")
    made = [
        Signature(signer.verifier.name, signer.verifier.key_id, signer.sign(text.encode("utf-8"))) for signer in signers
    ]
    return Note(text, (*made, *others))


def is_key_name(name: str) -> bool:
    """Whether a key may be called so: not empty, no space (Unicode's too), no '+', no control character."""
    return bool(name) and "+" not in name and not any(c.isspace() or ord(c) < 0x20 for c in name) and _encodes(name)


def _encodes(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not is_key_name(name):
        raise _malformed(f"{line[:80]!r} is no signature line")
    data = _unbase64(encoded, "a signature of the note")
    if len(data) <= _KEY_ID_SIZE:
        raise _malformed("a signature is too short")
    return Signature(name, data[:_KEY_ID_SIZE], data[_KEY_ID_SIZE:])


def _unbase64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise EncodingError(f"{what} is malformed", why="expected base64 with its padding")
    return data


def _malformed(why: str) -> EncodingError:
    return EncodingError("the note is malformed", why=why, hint="give the file as it was handed out, whole")
