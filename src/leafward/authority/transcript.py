"""The written record of a ceremony: who, when, on which machine, what was signed, from which input to which output.

Each transcript is a text file under `ceremonies/` of the maker's folder, numbered, with the SHA-256 of the one before
it: a changed, removed or inserted one breaks the chain, and whoever has the last digest on paper can tell. How it is
signed is in `transcript_log.py`.
"""

import hashlib
import platform
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import cryptography
from cryptography import x509
from cryptography.hazmat.backends.openssl import backend

from leafward import __version__, disk
from leafward.errors import Damaged
from leafward.pki.chain import Chain
from leafward.pki.encoding import certificate_to_pem
from leafward.pki.full_text import certificate_lines

FOLDER = "ceremonies"
_NAME = re.compile(r"(\d{4})-[a-z]+\.txt")
_FIRST = "none: this is the first"


@dataclass
class Transcript:
    """What is told of one ceremony. `now` is aware UTC; `by` are the people, as they named themselves."""

    purpose: str
    by: Sequence[str]
    now: datetime
    lines: list[str] = field(default_factory=list)

    def tell(self, title: str, facts: Mapping[str, str] | Iterable[str]) -> None:
        """A paragraph: a title and its lines."""
        found = [f"{name}: {value}" for name, value in facts.items()] if isinstance(facts, Mapping) else list(facts)
        self.lines += ["", title, *(f"    {line}" for line in found)]

    def certificate(self, title: str, certificate: x509.Certificate) -> None:
        """A certificate in full, and its PEM."""
        self.tell(title, [*certificate_lines(certificate), *certificate_to_pem(certificate).decode().splitlines()])

    def following(self, maker: Path) -> tuple[int, str, bytes]:
        """(number, file name, text) of it as the next one of this maker's."""
        before = kept(maker)
        number = len(before) + 1
        return number, f"{number:04}-{self.purpose}.txt", self._text(number, before)

    def _text(self, number: int, before: Sequence[Path]) -> bytes:
        head = {
            "ceremony": self.purpose,
            "number": str(number),
            "the one before, sha256": digest_of(before[-1]) if before else _FIRST,
            "time": f"{self.now:%Y-%m-%dT%H:%M:%SZ}, by the clock of this machine",
            "people": ", ".join(self.by) or "not told",
            **machine(),
        }
        lines = ["leafward ceremony transcript", *(f"{name}: {value}" for name, value in head.items()), *self.lines]
        return ("\n".join(lines) + "\n\nend of the transcript\n").encode()


def machine() -> dict[str, str]:
    """The machine and the versions of what signs on it."""
    return {
        "machine": f"{socket.gethostname()}, {platform.platform()}",
        "versions": f"leafward {__version__}, Python {platform.python_version()}, cryptography "
        f"{cryptography.__version__}, {backend.openssl_version_text()}",
    }


def kept(maker: Path) -> list[Path]:
    """The transcripts of a maker, first to last."""
    folder = maker / FOLDER
    return sorted(path for path in folder.glob("*.txt") if _NAME.fullmatch(path.name)) if folder.is_dir() else []


def verify_chain(maker: Path) -> list[tuple[Path, str]]:
    """(path, SHA-256) of each transcript, first to last. Raises `Damaged` naming the first that does not follow."""
    found: list[tuple[Path, str]] = []
    for number, path in enumerate(kept(maker), start=1):
        text = disk.read_file(path).decode("utf-8", "replace")
        expected = found[-1][1] if found else _FIRST
        if f"\nnumber: {number}\n" not in text or f"\nthe one before, sha256: {expected}\n" not in text:
            raise Damaged(
                f"the transcript {path.name} does not follow the one before it",
                why=f"expected number {number} and the digest {expected}",
                hint="one of the two was changed, removed or put in later: compare the digests written down on paper",
            )
        found.append((path, digest_of(path)))
    return found


def digest_of(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    return hashlib.sha256(disk.read_file(path)).hexdigest()


def chain_facts(chain: Chain) -> list[str]:
    """A chain in full, leaf first."""
    return [line for certificate in chain for line in (*certificate_lines(certificate), "")]
