"""Rules: what a chain must be, each written once, in one file of `rules/`, with its clause.

The issuer refuses by them, the manager checks what it is given at start by them, `verify` and the doctor explain by
them. A rule is a pure function of a `Context`: the same chain, names, anchors and time always give the same findings.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import Literal, TypeAlias

from cryptography import x509

from leafward.pki.chain import Chain, fingerprint
from leafward.pki.extension import unreadable
from leafward.pki.key_types import PublicKey
from leafward.pki.link import Link, signs_itself
from leafward.pki.names import Host
from leafward.pki.paths import extend_to_anchor
from leafward.pki.summary import roles

Severity: TypeAlias = Literal["error", "warning", "info"]
Who: TypeAlias = Literal["maker", "operator", "leaf", "network"]
# "ca": the first certificate of the chain is itself to sign others (a new intermediate, a device CA at start).
# "responder": it signs OCSP answers. Neither is a TLS peer's.
Purpose: TypeAlias = Literal["server", "client", "ca", "responder"]


class Step(IntEnum):
    """When OpenSSL meets a fault, which decides what is the cause and what follows from it.

    The tens are its passes over the chain (`verify_chain` in crypto/x509/x509_vfy.c): path building, extensions from
    the leaf up, strength, name, revocation, signatures and dates from the root down, name constraints. The ones are
    the order at one certificate. ADVICE is what OpenSSL does not look at.
    """

    PATH = 10
    MALFORMED = 20
    CRITICAL = 21
    CA = 22
    CERT_SIGN = 23
    PURPOSE = 24
    PATH_LENGTH = 25
    STRENGTH = 30
    NAME = 40
    REVOCATION = 50
    SIGNATURE = 60
    DATES = 61
    NAME_CONSTRAINTS = 70
    ADVICE = 80

    @property
    def from_the_root_down(self) -> bool:
        """True for the one pass that begins at the root."""
        return self in (Step.SIGNATURE, Step.DATES)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What rules judge: a chain and the circumstances in which somebody meets it.

    `chain` is leaf first. `anchors` are the roots the verifier trusts; empty means not known, and rules about trust
    say nothing then (`verify` never asks without anchors). `host` is the name the client used; `now` is aware UTC;
    `key` is the public half of the private key kept for the leaf; `depth_below` is, for the purpose "ca", how many
    further CAs are to hang below the chain's first certificate. `presented` is what a peer sent, in its own order and
    with whatever else was in it; empty where nobody sent anything, and rules about the order say nothing then.
    """

    chain: Chain
    now: datetime
    anchors: tuple[x509.Certificate, ...] = ()
    host: Host | None = None
    purpose: Purpose = "server"
    key: PublicKey | None = None
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    depth_below: int = 0
    presented: tuple[x509.Certificate, ...] = ()

    @cached_property
    def path(self) -> tuple[x509.Certificate, ...]:
        """The chain, completed from the anchors where they issued its top."""
        return extend_to_anchor(self.chain.certificates, self.anchors)

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Each certificate of the path with the next, nearest to the leaf first."""
        return tuple(map(Link, self.path, self.path[1:]))

    @cached_property
    def anchored(self) -> bool:
        """True where the path ends with a trusted, self-signed root."""
        return self.path[-1] in self.anchors and signs_itself(self.path[-1])

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate at the end: the server's, the client's, or the CA in question."""
        return self.path[0]

    @property
    def cas(self) -> tuple[x509.Certificate, ...]:
        """Every certificate of the path that has to sign one, nearest to the leaf first."""
        return self.path if self.purpose == "ca" else self.path[1:]

    @property
    def presenter(self) -> Who:
        """Who can mend what is sent, whoever made the certificates."""
        return "leaf" if self.purpose == "client" else "operator"

    @cached_property
    def _roles(self) -> dict[x509.Certificate, str]:
        try:
            return dict(zip(self.path, roles(self.path), strict=True))
        except x509.DuplicateExtension:  # judged by `extension-malformed`; who can mend it is then a guess
            return {}

    def who(self, certificate: x509.Certificate) -> Who:
        """Who can mend a certificate: the operator's half is the hub's and the workload CA, the rest is the maker's."""
        if self.path.index(certificate) == 0 and self.purpose != "ca":
            return "operator" if self.purpose == "server" else "leaf"
        return "operator" if self._roles.get(certificate) == "workload_ca" else "maker"

    def reissue(self, certificate: x509.Certificate) -> str:
        """The command that makes this certificate anew."""
        if self.path.index(certificate) == 0 and self.purpose != "ca":
            return "leafward manager rotate" if self.purpose == "server" else "leafward ca leaf"
        return _REISSUE.get(self._roles.get(certificate, ""), "leafward ca sign")


_REISSUE = {
    "root_ca": "leafward ca init",
    "intermediate_ca": "leafward ca intermediate",
    "device_ca": "leafward ca device",
    "workload_ca": "leafward manager rotate workload",
}


@dataclass(frozen=True)
class Finding:
    """One thing a rule found. `evidence` is data for JSON, with "got" and "expected" among it.

    `certificate` is the SHA-256 of the one at fault, `fix` a sentence or two naming the command or the setting.
    `alternatives` are codes that the same evidence allows.
    """

    code: str
    severity: Severity
    title: str
    evidence: Mapping[str, object]
    certificate: str | None
    who: Who
    fix: str
    alternatives: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The finding as one sentence, with got and expected."""
        got, expected = self.evidence.get("got"), self.evidence.get("expected")
        subject = self.evidence.get("subject")
        where = f" ({subject})" if subject else ""
        return f"{self.title}{where}: got {_words(got)}, expected {_words(expected)}"


def _subject(certificate: x509.Certificate) -> str:
    if unreadable(certificate):
        return "a subject that cannot be read"
    return certificate.subject.rfc4514_string() or "empty subject"


def _words(item: object) -> str:
    if isinstance(item, list | tuple):
        return ", ".join(map(str, item)) if item else "none"
    return "none" if item is None else str(item)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A code, what it means in one line, where it is written, and the function that finds it.

    `refused_at_issue`: a warning about the new certificate is a refusal when we issue, as we never make what another
    stack refuses. `spoils_chain`: so is a warning about any certificate above it, because no chain through it would
    pass our own `verify`; other flaws of a maker's old CA do not stop a gateway.
    `at_issue` is False for rules that need the verifier's side (anchors), which an issuer does not have.
    """

    code: str
    title: str
    clause: str
    step: Step
    check: Callable[[Context], Iterator[Finding]] = field(repr=False)
    refused_at_issue: bool = False
    spoils_chain: bool = False
    at_issue: bool = True

    def finding(
        self,
        severity: Severity,
        certificate: x509.Certificate | None,
        *,
        got: object,
        expected: object,
        who: Who,
        fix: str,
        alternatives: tuple[str, ...] = (),
        **more: object,
    ) -> Finding:
        """A finding of this rule; `more` is further evidence."""
        evidence = {"got": got, "expected": expected, **more}
        if certificate is not None:
            evidence["subject"] = _subject(certificate)
        return Finding(
            code=self.code,
            severity=severity,
            title=self.title,
            evidence=evidence,
            certificate=None if certificate is None else fingerprint(certificate),
            who=who,
            fix=fix,
            alternatives=alternatives,
        )
