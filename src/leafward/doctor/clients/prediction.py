"""What a client is predicted to say. A model may say more than the engine's findings: each stack has its own order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography import x509

from leafward.doctor.case import MOST_PRESENTED, Case
from leafward.doctor.live_evidence import LiveEvidence
from leafward.pki.extension import unreadable
from leafward.pki.names import Host


@dataclass(frozen=True, slots=True)
class Prediction:
    """`accepts` None: it cannot be told, and `message` says why. Else `message` is what the client shows."""

    accepts: bool | None
    message: str = ""

    @classmethod
    def refuses(cls, message: str) -> "Prediction":
        """It refuses, in these words."""
        return cls(False, message)


ACCEPTS = Prediction(True)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a client has before it: what is sent, whom it trusts, the name it uses, and its clock."""

    sent: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]
    host: Host
    case: Case = field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.sent[0]


Judge: TypeAlias = Callable[[Shown], Prediction]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A stack: its name, which versions were measured, and its model. `versions`: the TLS versions that it speaks.

    `words` are what it shows where no chain is judged: by the name of an alert, or of the end of an attempt.
    """

    name: str
    measured: str
    judge: Judge = field(repr=False)
    versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    words: Mapping[str, str] = field(default_factory=dict, repr=False)

    def predict(self, case: Case) -> Prediction:
        """What this client says in a case. Never raises for what is in it."""
        if isinstance(case.live, LiveEvidence) and (reached := self._reached(case.live)) is not None:
            return reached
        missing = _missing(case)
        if missing is not None or case.host is None:
            return Prediction(None, missing or "")
        sent = case.presented[:MOST_PRESENTED]
        return self.judge(Shown(sent=sent, anchors=case.anchors, host=case.host, case=case))

    def _reached(self, seen: LiveEvidence) -> Prediction | None:
        """What comes before the certificates; None where they are what counts."""
        if seen.first.step in ("resolve", "connect") or seen.first.end in ("not-tls", "timeout") or seen.spoken:
            end: str = "not-tls" if seen.spoken else seen.first.end
            return Prediction.refuses(self.words.get(end, f"no handshake: {seen.spoken or end}"))
        looks = [one for one in (seen.attempt(version) for version in self.versions) if one is not None]  # type: ignore[arg-type]  # versions are those
        if looks and all(one.step == "handshake" and one.end in ("alert", "older-tls", "closed") for one in looks):
            last = looks[-1]
            if last.chain and last.asked:  # it is refused after it has judged the chain
                return None
            end = last.alert.name if last.alert is not None else last.end
            return Prediction.refuses(self.words.get(end, end))
        return None


def _missing(case: Case) -> str | None:
    """What would be needed to tell."""
    if case.purpose != "server":
        return "it judges servers only"
    if not case.presented:
        return "there is no certificate"
    if not case.anchors:
        return "it is not known which roots it trusts: --root FILE"
    if case.host is None:
        return "it is not known by which name it connects: --name HOST"
    if any(unreadable(one) for one in (*case.presented[:MOST_PRESENTED], *case.anchors)):
        return "a certificate cannot be read; stacks differ in what they make of that"
    return None
