"""What was seen of a live server: every attempt with how far it came, as frozen values. Nothing is judged here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from leafward.wire.tls.alerts import Alert

Version: TypeAlias = Literal["any", "TLSv1.2", "TLSv1.3"]
# How an attempt ended. "done": the handshake, and what came after it, are good.
End: TypeAlias = Literal[
    "done",
    "not-resolved",  # the name has no address
    "refused",  # nobody listens
    "unreachable",  # the network says that there is no way
    "timeout",  # nothing came in time
    "alert",  # the server said no
    "closed",  # it hung up without a word
    "not-tls",  # what came is no TLS
    "older-tls",  # it answers with a version that we do not speak
    "too-much",  # it sent more than any server needs
    "malformed",  # TLS, and broken
]
Step: TypeAlias = Literal["resolve", "connect", "handshake", "after the handshake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One look at a server. `server_name` is the name asked for (SNI), None for none.

    `chain` are the certificates as sent, DER, also where the handshake failed. `asked` and `asked_for`: the server asks
    for a client certificate. `shown`: we showed one. `detail` is in the words of OpenSSL or the system. `first` are the
    first bytes that came. `seconds` is how long it took.
    """

    version: Version
    server_name: str | None
    end: End
    step: Step
    agreed: str | None = None
    cipher: str | None = None
    group: str | None = None
    chain: tuple[bytes, ...] = ()
    asked: bool = False
    shown: bool = False
    alert: Alert | None = None
    detail: str = ""
    first: bytes = b""
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether a client that trusts the chain would be connected."""
        return self.end == "done"


@dataclass(frozen=True, slots=True)
class Login:
    """An MQTT CONNECT with the leaf's own credential. `return_code` None: no CONNACK came, and `why` says what did."""

    client_id: str
    username: str
    return_code: int | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvidence:
    """All that was seen of one server. `address` is where it was reached; `first` is the look as a leaf would.

    `spoken` is what it speaks where it speaks no TLS. `peer_time` (aware UTC) is its Date in an answer over HTTP.
    """

    host: str
    port: int
    name: str
    first: Attempt
    others: tuple[Attempt, ...] = ()
    addresses: tuple[str, ...] = ()
    spoken: str = ""
    peer_time: datetime | None = None
    login: Login | None = None
    timeout: float = 0.0

    @property
    def target(self) -> str:
        """HOST:PORT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every look."""
        return (self.first, *self.others)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What a leaf is shown, DER; what another look was shown where the first came not so far. What a server shows
        to those who name no server is no evidence about those who do.
        """
        named = [one for one in self.attempts if (one.server_name is None) == (self.first.server_name is None)]
        return next((one.chain for one in named if one.chain), ())

    def attempt(self, version: Version, *, named: bool = True) -> Attempt | None:
        """The look with a version, with or without SNI; None where there was none."""
        found = (one for one in self.attempts if one.version == version and (one.server_name is not None) == named)
        return next(found, None)
