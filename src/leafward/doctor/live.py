"""Looks at a live server from the leaf's side: resolves, connects, shakes hands in TLS 1.2 and 1.3, with and without
SNI.

The chain is read whether it verifies or not. Whatever stands at the other end, there is an answer within the timeout:
each step takes its time from one deadline, and no more bytes are kept than any real server sends.

What is sent: three handshakes; at ports that serve HTTPS, and where a date of the chain is in question, one HEAD; with
a connection string, and only to a server whose chain is good, one MQTT CONNECT, which a hub takes for the device (one
that is connected loses its connection and comes back).
"""

import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from leafward.doctor.live_evidence import Attempt, LiveEvidence, Version
from leafward.doctor.live_handshake import Asking, ClientCredential, Talk, shake_hands
from leafward.doctor.live_speech import HttpDate, MqttLogin, plain_speech, spoken_by
from leafward.doctor.live_wire import Address, Deadline, Wire, resolve
from leafward.doctor.target_kinds import TIMEOUT
from leafward.errors import NameFormatError
from leafward.pki.names import HostName, parse_host

HTTPS_PORTS = frozenset({443, 8443})
MQTT_PORTS = frozenset({8883})
# For what is said over a connection that stands, such as a question for the time.
TALK_SECONDS = 4.0
_LONGEST_NAME = 254


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Where to look, and as whom. `name` is what the leaf connects by. `timeout` in seconds bounds the whole look.

    `credential` is shown where the server asks.
    """

    host: str
    port: int
    name: str
    now: datetime
    timeout: float = TIMEOUT
    credential: ClientCredential | None = None

    @property
    def server_name(self) -> str | None:
        """What goes into SNI: a name, never an address (RFC 6066 3)."""
        try:
            host = parse_host(self.name)
        except NameFormatError:
            is_name = self.name.isascii() and 0 < len(self.name) < _LONGEST_NAME and not _is_address(self.name)
            return self.name.lower() if is_name else None
        return host.text if isinstance(host, HostName) else None


def look(wanted: Wanted) -> LiveEvidence:
    """All that can be seen. Never raises for what the server or the network does."""
    deadline = Deadline(wanted.timeout)
    base = LiveEvidence(
        host=wanted.host,
        port=wanted.port,
        name=wanted.name,
        first=Attempt(version="any", server_name=wanted.server_name, end="not-resolved", step="resolve"),
        timeout=wanted.timeout,
    )
    try:
        addresses = resolve(wanted.host, wanted.port, deadline)
    except socket.gaierror as error:
        return replace(base, first=replace(base.first, detail=(error.strerror or str(error)).lower()))
    except TimeoutError:
        return replace(base, first=replace(base.first, end="timeout", detail="the resolver does not answer"))
    base = replace(base, addresses=tuple(str(address[0]) for _, address in addresses))
    first = _attempt(wanted, addresses, deadline, Asking("any", wanted.server_name, wanted.credential))
    base = replace(base, first=first)
    if first.step == "connect":
        return base
    return _further(wanted, addresses, deadline, base)


def _further(wanted: Wanted, addresses: list[Address], deadline: Deadline, seen: LiveEvidence) -> LiveEvidence:
    """The other handshakes, side by side; then what is said over one that stands."""
    first = seen.first
    if first.end in ("not-tls", "timeout", "too-much"):
        return replace(seen, spoken=spoken_by(first.first))
    if first.end == "closed" and not first.first:
        spoken = plain_speech(addresses, deadline, wanted.name)
        if spoken:
            return replace(seen, spoken=spoken)
    name, credential = wanted.server_name, wanted.credential
    patient = not first.done  # else the first look has waited for all of them
    ways: list[tuple[Version, str | None]] = [("TLSv1.2", name), ("TLSv1.3", name)]
    ways += [("any", None)] if name is not None else []
    asked = [Asking(version, shown, credential, patient=patient) for version, shown in ways]
    with ThreadPoolExecutor(len(asked)) as pool:
        others = list(pool.map(lambda one: _attempt(wanted, addresses, deadline, one), asked))
    seen = replace(seen, others=tuple(others))
    if not any(one.done for one in seen.attempts):
        return seen
    return _spoken_with(wanted, addresses, deadline, seen)


def _spoken_with(wanted: Wanted, addresses: list[Address], deadline: Deadline, seen: LiveEvidence) -> LiveEvidence:
    version = next(one.version for one in seen.attempts if one.done)

    def talk(then: Callable[[Talk], None]) -> None:
        asking = Asking(version, wanted.server_name, wanted.credential, then, patient=False)
        _attempt(wanted, addresses, deadline.within(TALK_SECONDS), asking)

    if wanted.port in HTTPS_PORTS or (wanted.port not in MQTT_PORTS and _dates_in_question(seen.chain, wanted.now)):
        date = HttpDate(wanted.name)
        talk(date)
        seen = replace(seen, peer_time=date.found)
    return seen


def log_in(wanted: Wanted, seen: LiveEvidence, login: MqttLogin) -> LiveEvidence:
    """Tries a login at a server whose chain was judged good, and at no other: a token is worth stealing."""
    if not seen.first.done or wanted.port in HTTPS_PORTS:
        return seen
    deadline = Deadline(min(wanted.timeout, TALK_SECONDS))
    try:
        addresses = resolve(wanted.host, wanted.port, deadline)
    except OSError:
        return seen
    login.only_to = seen.first.chain[0] if seen.first.chain else b""
    asking = Asking("any", wanted.server_name, wanted.credential, login, patient=False)
    _attempt(wanted, addresses, deadline, asking)
    return replace(seen, login=login.result)


def _attempt(wanted: Wanted, addresses: list[Address], deadline: Deadline, asking: Asking) -> Attempt:
    base = Attempt(version=asking.version, server_name=asking.server_name, end="refused", step="connect")
    try:
        with Wire.to(addresses, deadline) as wire:
            return shake_hands(wire, asking)
    except ConnectionRefusedError:
        return base
    except TimeoutError:
        return replace(base, end="timeout")
    except OSError as error:
        return replace(base, end="unreachable", detail=(error.strerror or str(error)).lower())


def _dates_in_question(chain: tuple[bytes, ...], now: datetime) -> bool:
    return any(not one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in certificates_in(chain)[0])


def certificates_in(chain: tuple[bytes, ...]) -> tuple[tuple[x509.Certificate, ...], tuple[tuple[int, str], ...]]:
    """(the certificates that can be read, (place from 0, why) of those that cannot)."""
    found: list[x509.Certificate] = []
    broken: list[tuple[int, str]] = []
    for place, der in enumerate(chain):
        try:
            certificate = x509.load_der_x509_certificate(der)
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            found.append(certificate)
        except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
            broken.append((place, str(error)))
    return tuple(found), tuple(broken)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
