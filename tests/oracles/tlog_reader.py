"""A reader of transparency logs, written from the texts of C2SP and RFC 9162 alone. It shares nothing with leafward.

It is what a witness or an auditor would write: open the signed checkpoint, fetch tiles by their paths, prove.
"""

import base64
import hashlib
import subprocess
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def H(*parts: bytes) -> bytes:  # noqa: N802 - as RFC 9162 writes it
    return hashlib.sha256(b"".join(parts)).digest()


def mth(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1, over leaf hashes."""
    n = len(leaves)
    if n == 0:
        return H()
    if n == 1:
        return leaves[0]
    k = 2 ** ((n - 1).bit_length() - 1)
    return H(b"\x01", mth(leaves[:k]), mth(leaves[k:]))


def root_from_path(leaf: bytes, m: int, n: int, path: list[bytes]) -> bytes:
    """PATH(m, D[n]) of RFC 9162 2.1.3.1 read backwards: the definition, not the loop of 2.1.3.2."""
    if n == 1:
        assert m == 0
        assert not path
        return leaf
    k = 2 ** ((n - 1).bit_length() - 1)
    rest, sibling = path[:-1], path[-1]
    if m < k:
        return H(b"\x01", root_from_path(leaf, m, k, rest), sibling)
    return H(b"\x01", sibling, root_from_path(leaf, m - k, n - k, rest))


def roots_from_consistency(m: int, n: int, old_root: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """(old root, new root) that PROOF(m, D[n]) of RFC 9162 2.1.4.1 leads to, by its definition."""

    def subproof(m: int, n: int, proof: list[bytes], whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            if whole:
                assert not proof
                return old_root, old_root
            (only,) = proof
            return only, only
        k = 2 ** ((n - 1).bit_length() - 1)
        rest, last = proof[:-1], proof[-1]
        if m <= k:
            old, new = subproof(m, k, rest, whole)
            return old, H(b"\x01", new, last)
        old, new = subproof(m - k, n - k, rest, False)
        return H(b"\x01", last, old), H(b"\x01", last, new)

    return subproof(m, n, proof, True)


def openssl_verify(spki: bytes, signature: bytes, text: bytes) -> None:
    """ECDSA with SHA-256, as signed-note's type 0x02 has it, by OpenSSL's own program."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("key", spki), ("signature", signature), ("text", text)):
            Path(folder, name).write_bytes(data)
        command = ["openssl", "dgst", "-sha256", "-verify", "key", "-keyform", "DER", "-signature", "signature", "text"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=30)
        assert done.stdout == "Verified OK\n", done.stderr


class Vkey:
    """signed-note: <name>+<hex key id>+<base64 of type and key>."""

    def __init__(self, text: str) -> None:
        self.name, key_id, material = text.split("+", 2)
        raw = base64.b64decode(material, validate=True)
        if raw[:1] == b"\x01":
            assert len(raw) == 33
            self.key_id = H(self.name.encode(), b"\n", raw)[:4]
            self.verify = Ed25519PublicKey.from_public_bytes(raw[1:]).verify
        else:
            assert raw[:1] == b"\x02"
            self.key_id = H(raw[1:])[:4]
            self.verify = lambda signature, text: openssl_verify(raw[1:], signature, text)
        assert self.key_id.hex() == key_id

    def open(self, note: bytes) -> bytes:
        """The text of a note that this key signed."""
        at = note.rindex(b"\n\n")
        text, lines = note[: at + 1], note[at + 2 :].decode().splitlines()
        for line in lines:
            dash, name, signature = line.split(" ")
            raw = base64.b64decode(signature, validate=True)
            assert dash == "\u2014"
            if (name, raw[:4]) == (self.name, self.key_id):
                self.verify(raw[4:], text)
                return text
        raise AssertionError("not signed by this key")


def checkpoint(text: bytes) -> tuple[str, int, bytes]:
    """tlog-checkpoint: origin, size, root hash."""
    origin, size, root = text.decode().splitlines()[:3]
    assert size == str(int(size))
    return origin, int(size), base64.b64decode(root, validate=True)


def tile_path(level: int | str, n: int, width: int) -> str:
    """tlog-tiles: tile/<L>/<N>[.p/<W>]."""
    digits = str(n)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}")


class Reader:
    """A log as static files below a prefix."""

    def __init__(self, prefix: Path, vkey: str) -> None:
        self.prefix = prefix
        self.key = Vkey(vkey)
        self.origin, self.size, self.root = checkpoint(self.key.open((prefix / "checkpoint").read_bytes()))
        assert self.origin == self.key.name

    def tiles(self, level: int | str, count: int) -> list[bytes]:
        """The files of a level that together hold `count` hashes or entries."""
        widths = [256] * (count // 256) + ([count % 256] if count % 256 else [])
        return [(self.prefix / tile_path(level, n, width)).read_bytes() for n, width in enumerate(widths)]

    def hashes(self, level: int) -> list[bytes]:
        data = b"".join(self.tiles(level, self.size // 256**level))
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    def entries(self) -> list[bytes]:
        found = []
        for data in self.tiles("entries", self.size):
            at = 0
            while at < len(data):
                length = int.from_bytes(data[at : at + 2], "big")
                found.append(data[at + 2 : at + 2 + length])
                at += 2 + length
        return found

    def check(self) -> None:
        """Every entry, every hash of every level, the root."""
        leaves = [H(b"\x00", entry) for entry in self.entries()]
        assert len(leaves) == self.size
        level, below = 0, leaves
        while below:
            assert self.hashes(level) == below
            below = [mth(below[at : at + 256]) for at in range(0, len(below) - 255, 256)]
            level += 1
        assert mth(leaves) == self.root


def check_proof(text: str, vkey: str) -> tuple[int, int, bytes]:
    """tlog-proof: (index, size, the entry of the extra line) of a proof that holds."""
    head, note = text.split("\n\n", 1)
    first, extra, index, *path = head.split("\n")
    assert first == "c2sp.org/tlog-proof@v1"
    assert extra.startswith("extra ")
    assert index.startswith("index ")
    entry = base64.b64decode(extra[6:], validate=True)
    _, size, root = checkpoint(Vkey(vkey).open(note.encode()))
    hashes = [base64.b64decode(line, validate=True) for line in path]
    assert root_from_path(H(b"\x00", entry), int(index[6:]), size, hashes) == root
    return int(index[6:]), size, entry
