"""The armour of PEM (RFC 7468), read strictly: where a block begins and ends, and which kind of object it says it is.

Tolerant of what people's files really hold around the blocks: CRLF, a byte order mark, the text that
`openssl x509 -text` writes above a certificate. Strict inside a block: a cut-off block, an end that does not fit its
beginning or a character that is no base64 is refused, so a damaged file is never half-read.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

from leafward.errors import EncodingError

CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
PRIVATE_KEY_LABELS = frozenset(
    {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"}
)
_NAMES = {
    **dict.fromkeys(CERTIFICATE_LABELS, "a certificate"),
    **dict.fromkeys(PRIVATE_KEY_LABELS, "a private key"),
    "OPENSSH PRIVATE KEY": "an OpenSSH private key",
    "PUBLIC KEY": "a public key",
    "RSA PUBLIC KEY": "a public key",
    "CERTIFICATE REQUEST": "a certificate request",
    "NEW CERTIFICATE REQUEST": "a certificate request",
    "X509 CRL": "a revocation list",
    "PKCS7": "a PKCS#7 bundle",
    "CMS": "a PKCS#7 bundle",
    "EC PARAMETERS": "curve parameters",
    "DH PARAMETERS": "Diffie-Hellman parameters",
    "TRUSTED CERTIFICATE": "a certificate with OpenSSL's trust settings",
}
# Nothing but a byte order mark (UTF-8, seen as Latin-1) may stand beside a boundary: what would be there is part of
# another object, joined on by a `cat` of files without a last line end.
_BOUNDARY = re.compile(r"(?:\u00ef\u00bb\u00bf)?-----(BEGIN|END) ([^-]+(?:-[^-]+)*)-----")
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block. `data` is its DER, never shown: it may be a key. `encrypted` is the old form of RFC 1421."""

    label: str
    data: bytes = field(repr=False)
    encrypted: bool = False
    line: int = 0

    @property
    def name(self) -> str:
        """What the block is, in words: "a private key"."""
        return object_name(self.label)


def object_name(label: str) -> str:
    """A label in words: "CERTIFICATE REQUEST" -> "a certificate request"."""
    return _NAMES.get(label, f"an object of the kind '{label}'")


def looks_like_pem(data: bytes) -> bool:
    """True where the bytes hold the beginning of a block; DER cannot, by any likely chance."""
    return b"-----BEGIN " in data


def read_blocks(data: bytes) -> list[Block]:
    """Every block in `data`, in order; text outside of blocks is skipped.

    Never empty. Raises `EncodingError` naming the line for a block without an end, an end without a block, or broken
    base64, and where there is no block at all.
    """
    blocks: list[Block] = []
    label, begun, body = None, 0, list[str]()
    # Latin-1 maps every byte to a character: comments in any encoding pass, and inside a block they are refused below.
    for number, raw in enumerate(data.decode("latin-1").splitlines(), start=1):
        line = raw.strip()
        boundary = _BOUNDARY.fullmatch(line)
        if boundary is None:
            if label is not None:
                body.append(line)
            continue
        verb, found = boundary.groups()
        if label is None and verb == "BEGIN":
            label, begun, body = found, number, []
        elif label is not None and verb == "END" and found == label:
            blocks.append(_block(label, body, begun))
            label = None
        else:
            raise _misplaced(verb, found, number, label, begun)
    if label is not None:
        raise _cut_off(label, begun, why="the data ends before its END line")
    if not blocks:
        raise EncodingError("no PEM block", why="no line is a BEGIN line and nothing else", hint=_AGAIN)
    return blocks


def write_block(label: str, data: bytes) -> bytes:
    """One PEM block, in lines of 64 characters, with LF (RFC 7468 section 2)."""
    text = base64.b64encode(data)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"-----BEGIN %b-----\n%b\n-----END %b-----\n" % (label.encode(), b"\n".join(lines), label.encode())


def _block(label: str, body: list[str], begun: int) -> Block:
    headers = [line for line in body if ":" in line]
    encrypted = any(line.startswith("Proc-Type:") and "ENCRYPTED" in line for line in headers)
    if headers and label not in PRIVATE_KEY_LABELS:
        raise EncodingError(
            f"the PEM block '{label}' at line {begun} has headers inside",
            why="expected nothing but base64 between BEGIN and END",
            hint="export the object again",
        )
    text = [line for line in body if ":" not in line]
    for offset, line in enumerate(text, start=1):
        if not _BASE64_LINE.fullmatch(line):
            raise _cut_off(label, begun, why=f"line {begun + len(headers) + offset} holds what is no base64")
    try:
        data = base64.b64decode("".join(text), validate=True)
    except binascii.Error:
        raise _cut_off(label, begun, why="its base64 has characters missing") from None
    if not data:
        raise _cut_off(label, begun, why="it holds nothing")
    return Block(label=label, data=data, encrypted=encrypted, line=begun)


def _misplaced(verb: str, found: str, number: int, label: str | None, begun: int) -> EncodingError:
    if label is None:
        return EncodingError(f"a PEM block '{found}' ends at line {number} but never began", hint=_AGAIN)
    return _cut_off(label, begun, why=f"expected its END line, got {verb} '{found}' at line {number}")


def _cut_off(label: str, begun: int, *, why: str) -> EncodingError:
    return EncodingError(f"the PEM block '{label}' that begins at line {begun} is damaged", why=why, hint=_AGAIN)


_AGAIN = "the file was cut off or edited: copy it again"
