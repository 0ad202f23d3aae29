"""One TLS handshake with a server, as a leaf device opens it: nothing is verified, everything is kept.

pyOpenSSL works between two buffers in memory, so every byte that came is at hand when it refuses. In TLS 1.3 a server
that misses a client certificate says so only after the handshake (RFC 8446 4.4.2.4): so something is read once more,
until the server's session ticket, its alert, or a short time has come.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from leafward.doctor.live_evidence import Attempt, Version
from leafward.doctor.live_records import InTheClear, is_tls, read_records
from leafward.doctor.live_wire import TooMuch, Wire
from leafward.errors import UsageError
from leafward.wire.tls.alerts import ALERTS, Alert, received_alert

# How long a server may take to refuse after the handshake, in seconds and in round trips.
AFTER_SECONDS, AFTER_TRIPS = 0.3, 4
_VERSIONS: dict[Version, tuple[int, int]] = {
    "any": (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION),
    "TLSv1.2": (SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION),
    "TLSv1.3": (SSL.TLS1_3_VERSION, SSL.TLS1_3_VERSION),
}
# Everything a client of today may take; whether a key is too weak is judged by the rules, not by failing to look.
_CIPHERS = b"DEFAULT:@SECLEVEL=0"
# MQTT's DISCONNECT. To a server, a client that goes after the handshake without a word looks like one that did not
# trust it (as Node does): a hub would list the doctor among those who could not connect.
GOODBYE = b"\xe0\x00"
_KEPT = 160 * 1024  # bytes that came: a chain of 100 KiB and what is around it
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Asking:
    """How to open: the version, the name to ask for (SNI, None for none), a client's chain and key where it has one.

    `then` is called with the connection once it stands, to speak on it; it may raise what `Wire` raises. `patient`:
    waits for a refusal after the handshake, which costs time where none comes.
    """

    version: Version = "any"
    server_name: str | None = None
    credential: "ClientCredential | None" = None
    then: "Callable[[Talk], None] | None" = None
    patient: bool = True


@dataclass(frozen=True, slots=True)
class ClientCredential:
    """A leaf device's own chain and key, PEM, as they are shown to a server."""

    chain: bytes
    key: bytes = field(repr=False)

    @property
    def certificates(self) -> list[x509.Certificate]:
        """The chain, the leaf's own first. Raises `UsageError` for what is no PEM certificate."""
        try:
            return x509.load_pem_x509_certificates(self.chain)
        except (ValueError, x509.InvalidVersion) as error:
            hint = "give the leaf's chain in PEM, its own certificate first"
            raise UsageError("the client certificate cannot be read", why=str(error)[:200], hint=hint) from error

    def put_into(self, context: SSL.Context) -> None:
        """Raises `UsageError` where OpenSSL cannot use the two together."""
        try:
            first, *rest = self.certificates
            context.use_certificate(first)
            for one in rest:
                context.add_extra_chain_cert(one)
            context.use_privatekey(load_pem_private_key(self.key, None))  # type: ignore[arg-type]  # checked by OpenSSL
            context.check_privatekey()
        except (SSL.Error, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise UsageError(
                "the client certificate cannot be shown",
                why="its chain and key do not load, or do not belong together",
                hint="give the leaf's chain with --certificate and its plain key with --key; `leafward doctor` on the "
                "two files says more",
            ) from error


class Talk:
    """A connection that stands: bytes in, bytes out."""

    def __init__(self, tls: SSL.Connection, wire: Wire) -> None:
        self._tls = tls
        self._wire = wire

    @property
    def peer(self) -> bytes:
        """The certificate of the server that this connection is with, DER: it has proved that it has the key."""
        chain = self._tls.get_peer_cert_chain() or ()
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, chain[0]) if chain else b""

    def send(self, data: bytes) -> None:
        """Encrypts and sends."""
        self._tls.send(data)
        _flush(self._tls, self._wire)

    def receive(self) -> bytes:
        """Some plain text; empty at the end."""
        while True:
            try:
                return self._tls.recv(_PIECE)
            except SSL.WantReadError:
                data = self._wire.receive()
                if not data:
                    return b""
                self._tls.bio_write(data)
            except SSL.ZeroReturnError:
                return b""


class _Look:
    """One handshake in progress."""

    def __init__(self, wire: Wire, asking: Asking) -> None:
        self._wire, self._asking = wire, asking
        self._kept = bytearray()
        self._asked = self._ticket = False
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(_VERSIONS[asking.version][0])
        context.set_max_proto_version(_VERSIONS[asking.version][1])
        context.set_cipher_list(_CIPHERS)
        context.set_verify(SSL.VERIFY_NONE)
        context.set_info_callback(self._heard)
        if asking.credential is not None:
            asking.credential.put_into(context)
        self._tls = SSL.Connection(context, None)
        if asking.server_name is not None:
            self._tls.set_tlsext_host_name(
                asking.server_name.encode("idna" if not asking.server_name.isascii() else "ascii")
            )
        self._tls.set_connect_state()

    def _heard(self, tls: SSL.Connection, _where: int, _result: int) -> None:
        state = tls.get_state_string()
        self._asked |= b"read server certificate request" in state
        self._ticket |= b"read server session ticket" in state

    def go(self) -> Attempt:
        base = Attempt(
            version=self._asking.version,
            server_name=self._asking.server_name,
            end="done",
            step="handshake",
            shown=self._asking.credential is not None,
        )
        try:
            self._shake_hands()
            base = replace(base, step="after the handshake", **self._agreed())
            self._wait_for_a_refusal()
            talk = Talk(self._tls, self._wire)
            if self._asking.then is not None:
                self._asking.then(talk)
            else:
                with suppress(OSError, SSL.Error):
                    talk.send(GOODBYE)
        except TimeoutError:
            return self._ended(replace(base, end="timeout"))
        except TooMuch:
            return self._ended(replace(base, end="too-much", detail=f"more than {self._wire.received - 1} bytes"))
        except SSL.Error as error:
            return self._refused(base, error)
        except OSError as error:  # a reset
            return self._ended(replace(base, end="closed", detail=error.strerror or str(error)))
        return self._ended(base)

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                _flush(self._tls, self._wire)
                return
            except SSL.WantReadError:
                _flush(self._tls, self._wire)
            data = self._receive()
            if not data:
                raise ConnectionResetError(0, "the connection was closed during the handshake")
            self._tls.bio_write(data)

    def _receive(self) -> bytes:
        data = self._wire.receive()
        if len(self._kept) < _KEPT:
            self._kept += data
        return data

    def _wait_for_a_refusal(self) -> None:
        """Only where a certificate was asked for: who asks for none has nothing to refuse, and sends nothing first."""
        if not (self._asked and self._asking.patient) or self._tls.get_protocol_version_name() != "TLSv1.3":
            return
        soon = self._wire.deadline.within(max(AFTER_SECONDS, AFTER_TRIPS * self._wire.trip))
        while not self._ticket:
            try:
                self._tls.recv(1)
                return
            except SSL.WantReadError:
                pass
            except SSL.ZeroReturnError:
                raise ConnectionResetError(0, "the connection was closed right after the handshake") from None
            try:
                data = self._wire.receive(soon)
            except TimeoutError:
                return
            if not data:
                raise ConnectionResetError(0, "the connection was closed right after the handshake")
            self._tls.bio_write(data)

    def _agreed(self) -> dict[str, Any]:
        return {
            "agreed": self._tls.get_protocol_version_name(),
            "cipher": self._tls.get_cipher_name(),
            "group": self._tls.get_group_name(),
        }

    def _ended(self, attempt: Attempt, clear: InTheClear | None = None) -> Attempt:
        clear = clear or read_records(bytes(self._kept))
        first = self._wire.first
        if attempt.end in ("timeout", "closed", "too-much") and first and not is_tls(first):
            attempt = replace(attempt, end="not-tls")
        alert = attempt.alert or (clear.alert if attempt.step == "handshake" else None)
        if alert is not None and attempt.end == "closed":
            attempt = replace(attempt, end="alert")
        return replace(
            attempt, chain=self._chain() or clear.chain, asked=self._asked or clear.asked, alert=alert, first=first
        )

    def _chain(self) -> tuple[bytes, ...]:
        sent = self._tls.get_peer_cert_chain() or ()
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in sent)

    def _refused(self, base: Attempt, error: SSL.Error) -> Attempt:
        """OpenSSL's words sorted: an alert that came, a version that is too old, no TLS, or a broken message."""
        clear = read_records(bytes(self._kept))
        alert, detail = clear.alert or _alert_in(error), _words(error)
        if alert is not None and alert.from_peer:
            return self._ended(replace(base, end="alert", alert=alert, detail=detail), clear)
        if self._wire.first and not is_tls(self._wire.first):
            return self._ended(replace(base, end="not-tls", detail=detail), clear)
        older = clear.version in ("SSLv3", "TLSv1", "TLSv1.1") or "unsupported protocol" in detail
        if isinstance(error, SSL.SysCallError | SSL.ZeroReturnError) or "unexpected eof" in detail:
            return self._ended(replace(base, end="closed", detail=detail), clear)
        return self._ended(replace(base, end="older-tls" if older else "malformed", detail=detail), clear)


def shake_hands(wire: Wire, asking: Asking) -> Attempt:
    """One handshake. Never raises for what the server does; raises `UsageError` for a credential that does not load."""
    begun = time.monotonic()
    attempt = _Look(wire, asking).go()
    return replace(attempt, seconds=time.monotonic() - begun)


def _flush(tls: SSL.Connection, wire: Wire) -> None:
    while True:
        try:
            data = tls.bio_read(_PIECE)
        except SSL.WantReadError:
            return
        wire.send(data)


def _alert_in(error: SSL.Error) -> Alert | None:
    """The alert that OpenSSL names: it spells those it received with "alert" in their reason."""
    words = _words(error)
    for number, (name, _) in ALERTS.items():
        if "alert" in words and name.replace("_", " ") in words:
            return received_alert(1000 + number)
    return None


def _words(error: SSL.Error) -> str:
    stack = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(entry[-1] for entry in stack if entry[-1]) or "the connection was closed"
