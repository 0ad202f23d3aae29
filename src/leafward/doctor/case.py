"""A case: all the evidence at hand about one chain, as a frozen value.

Whoever gathers it fills in what it has: files are read by `case_files.py`, a live server is looked at elsewhere. What
is missing makes a check answer that it could not tell, or that it does not apply; nothing is guessed.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509

from leafward.doctor.finding import Severity, Who
from leafward.errors import NameFormatError
from leafward.pki.chain import Chain
from leafward.pki.extension import unreadable
from leafward.pki.key_types import PublicKey
from leafward.pki.names import Host, parse_host
from leafward.pki.openssl_path import openssl_path
from leafward.pki.paths import Path, Pool, candidate_paths, is_anchor, likeliest_path
from leafward.pki.rule import Context, Purpose

if TYPE_CHECKING:
    from leafward.doctor.noted import Noted

# OpenSSL sends no more than 100 certificates, and takes no more than 100 KiB (SSL_CTX_set_max_cert_list).
MOST_PRESENTED = 100


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong with a file: the code, what was met, and what to do. `line` counts from 1 where there is one."""

    code: str
    path: str
    got: str
    expected: str
    fix: str
    severity: Severity = "error"
    who: Who = "operator"
    line: int | None = None


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """One file that was looked at: its path, the part it plays in words, and its faults."""

    path: str
    role: str
    faults: tuple[FileFault, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a small device takes: bytes of the Certificate message, certificates on the path. None: as most do."""

    chain_bytes: int | None = None
    depth: int | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """The evidence. `target` is what the person named; `now` is aware UTC, and the leaf's clock is taken to show it.

    `presented` are the certificates as they are sent, the peer's own first. `more` are certificates at hand that may
    help to build a path and are not sent. `anchors` are the roots that the leaf trusts; empty: not known. `name` is the
    name that the leaf connects by, as it was written. `key` is the public half of the private key kept for the peer's
    certificate. `live` and `settings` are what other rooms gathered about a server and a leaf; None: not looked at.
    `noted` are faults that were met while looking. `clock_is_real` is False where a person chose `now`; `peer_time`
    is what another machine's clock shows (aware UTC).
    """

    target: str
    now: datetime
    presented: tuple[x509.Certificate, ...] = ()
    more: tuple[x509.Certificate, ...] = ()
    anchors: tuple[x509.Certificate, ...] = ()
    name: str | None = None
    purpose: Purpose = "server"
    key: PublicKey | None = None
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    unreachable_crls: tuple[tuple[str, str], ...] = ()
    files: tuple[FileEvidence, ...] = ()
    limits: Limits = field(default_factory=Limits)
    live: object | None = None
    settings: object | None = None
    clock_is_real: bool = True
    peer_time: datetime | None = None
    noted: "tuple[Noted, ...]" = ()

    @cached_property
    def host(self) -> Host | None:
        """The name as a type; None where there is none, or where it can be no server's."""
        try:
            return None if self.name is None else parse_host(self.name)
        except NameFormatError:
            return None

    @cached_property
    def file_faults(self) -> tuple[FileFault, ...]:
        """The faults of all files."""
        return tuple(fault for file in self.files for fault in file.faults)

    @cached_property
    def context(self) -> Context | None:
        """The case as the rules see it; None where there is no certificate, or the first one cannot be read."""
        if not self.presented or unreadable(self.presented[0]):
            return None
        path = self._path
        return Context(
            chain=Chain(path),
            # A path that ends well is judged by its own root alone: 150 others have nothing to say about it.
            anchors=path[-1:] if is_anchor(path[-1], self._roots) else self._roots.certificates,
            now=self.now,
            host=self.host,
            purpose=self.purpose,
            key=self.key,
            crls=self.crls,
            presented=tuple(one for one in self.presented[:MOST_PRESENTED] if not unreadable(one)),
        )

    @cached_property
    def openssl_finds_a_path(self) -> bool:
        """Whether OpenSSL gets from the first certificate to a trusted root, if only by names."""
        return is_anchor(self._taken[-1], self._roots)

    @cached_property
    def _taken(self) -> Path:
        leaf, *material = self._readable
        return openssl_path(leaf, material, self._roots, self.now)

    @cached_property
    def _roots(self) -> Pool:
        return Pool(one for one in self.anchors if not unreadable(one))

    @cached_property
    def _readable(self) -> Path:
        """What was sent, then what else is at hand, without what cannot be read."""
        return tuple(one for one in (*self.presented[:MOST_PRESENTED], *self.more) if not unreadable(one))

    @property
    def _path(self) -> Path:
        """The path that OpenSSL takes, to a root or to a trusted certificate that is none. Where it comes to neither,
        one that holds all the same, or the likeliest: that explains best.
        """
        if self._taken[-1] in self._roots:
            return self._taken
        leaf, pool = self._readable[0], Pool(self._readable[1:])
        return next(candidate_paths(leaf, pool, self._roots), None) or likeliest_path(leaf, pool, self._roots)
