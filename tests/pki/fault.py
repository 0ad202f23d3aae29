"""A broken chain as data: what is presented, to whom, and what must be found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from leafward.pki.chain import Chain
from leafward.pki.names import parse_host
from leafward.pki.rule import Context
from tests.pki.chain_forge import (
    HOST,
    NOW,
    Party,
)


@dataclass(frozen=True)
class Fault:
    """A chain as presented, the anchors, the circumstances, and the verdict.

    `code` is what our rules must find; `severity` "error" means that OpenSSL refuses too, and that it is the cause.
    """

    chain: list[x509.Certificate]
    anchors: list[x509.Certificate]
    severity: str = "error"
    host: str | None = HOST
    purpose: Any = "server"
    now: datetime = NOW
    key: Any = None
    crls: list[x509.CertificateRevocationList] = field(default_factory=list)
    depth_below: int = 0
    # What was sent, in its own order; empty where that is not the question.
    presented: list[x509.Certificate] = field(default_factory=list)
    # False where no command of OpenSSL asks this question (private keys, a CA's room).
    openssl_can_tell: bool = True

    @property
    def context(self) -> Context:
        return Context(
            chain=Chain(tuple(self.chain)),
            anchors=tuple(self.anchors),
            host=parse_host(self.host) if self.host else None,
            now=self.now,
            purpose=self.purpose,
            key=self.key,
            crls=tuple(self.crls),
            depth_below=self.depth_below,
            presented=tuple(self.presented),
        )


FAULTS: dict[str, Callable[[], Fault]] = {}


def fault(code: str) -> Callable[[Callable[[], Fault]], Callable[[], Fault]]:
    """Registers a broken chain under its code; a second one for the same code as "code/variant"."""

    def register(make: Callable[[], Fault]) -> Callable[[], Fault]:
        assert code not in FAULTS
        FAULTS[code] = make
        return make

    return register


def whole(leaf: Party, severity: str = "error", **special: Any) -> Fault:
    """The whole chain presented and its root trusted."""
    return Fault(chain=leaf.line, anchors=[leaf.root], severity=severity, **special)


def crl(
    issuer: Party, *revoked: int, days: int = 7, begun: int = 10, signing_key: Any = None
) -> x509.CertificateRevocationList:
    """A revocation list of `begun` days ago, good for `days`."""
    start = NOW - timedelta(days=begun)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(start + timedelta(days=days))
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(signing_key or issuer.key, hashes.SHA256())
