"""The hub's TLS settings and its present certificate, in the shape that event loops and web servers accept.

The standard library's `ssl` cannot do three things a hub needs: take a client certificate that no CA of its own signed
(self-signed leaf devices are judged by their thumbprint, above TLS), change the certificate under a running server
without making the old one unusable when the new one is wrong, and agree on X25519MLKEM768. pyOpenSSL can. asyncio,
uvloop and aiohttp insist on an `ssl.SSLContext`, and of it call only `wrap_bio`; so `TlsContext` is one by birth and
answers that call with a `TlsConnection`.

    context = TlsContext.server(chain, key, client_certificates=True)
    await loop.create_server(protocol_factory, port=8883, ssl=context)
    context.replace(new_chain, new_key)      # new connections get it, old ones live on
    context.forget_tickets()                 # nobody takes up a session of before

An event loop's own buffers: asyncio keeps 256 KiB a connection unless `asyncio.sslproto.SSLProtocol.max_size` is set
to 16384 before the server starts. That is for the part that owns the loop; the hub has a transport of its own.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, NoReturn, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from leafward.errors import KeyUnavailable, RuleViolation
from leafward.pki.chain import Chain, is_self_signed
from leafward.wire.tls import lowlevel, lowlevel_callbacks, lowlevel_context
from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.presented import Presented, Served

# TLS 1.2: forward secrecy and authenticated encryption only. The client chooses among them: small devices without AES
# in hardware put ChaCha20 first, and know best.
CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20"
CIPHER_SUITES: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
# Best first; the hybrid protects today's traffic from tomorrow's quantum computers (draft-ietf-tls-ecdhe-mlkem).
# P-384 is here for the certificates: TLS 1.2 accepts none whose curve is not in this list (RFC 8422 5.1).
GROUPS: Final = ("X25519MLKEM768", "X25519", "P-256", "P-384")
CLASSIC_GROUPS: Final = GROUPS[1:]
# Long enough for a power cut's worth of leaf devices to come back cheaply, short enough for forward secrecy: the key
# that seals the tickets lives as long as the certificate is served, and whoever steals it can read resumed sessions.
TICKET_LIFETIME: Final = timedelta(hours=12)
# Without an id OpenSSL refuses to resume as soon as client certificates are asked for.
_SESSION_ID_CONTEXT: Final = b"leafward"


class TlsContext(ssl.SSLContext):
    """An `ssl.SSLContext` in name and birth; the settings inherited from it are not used. Make it by `server`."""

    _presented: Presented
    _served: Served
    _others: tuple[Served, ...]
    _client_certificates: bool
    _refuse_unknown_names: bool
    _present_root: bool
    _alpn: tuple[bytes, ...]
    _failed: Callable[[TlsConnection, ssl.SSLError], None] | None
    _begun: Callable[[TlsConnection], None] | None

    def __new__(cls) -> Self:
        """An empty one, with nothing to present; `server` fills it."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    @classmethod
    def server(
        cls,
        chain: Chain,
        key: Any,
        *,
        client_certificates: bool,
        present_root: bool = True,
        alpn: Sequence[str] = (),
        others: Sequence[Served] = (),
        refuse_unknown_names: bool = False,
        begun: Callable[[TlsConnection], None] | None = None,
        handshake_failed: Callable[[TlsConnection, ssl.SSLError], None] | None = None,
    ) -> Self:
        """A context that presents `chain` (leaf first) and proves it by `key`.

        A client that asks for a name of one of `others` is shown that instead. One that asks for a name that no
        certificate has is shown `chain`, or with `refuse_unknown_names` refused (unrecognized_name).

        `client_certificates`: ask each client for one, and take any or none; the application judges. `present_root`:
        whether the self-signed root at the top of the chain is sent along. `alpn`: application protocols, best first;
        a client that knows none of them is served without. `begun` is called with each new connection. Then
        `handshake_failed` is called with each connection whose handshake fails, or whose peer sends an alert later,
        and the error (`alerts.alert_of` names it): event loops tell nobody. Neither may raise.

        `key` is a private key of `cryptography` that can be exported: OpenSSL works on its own copy, in memory. A
        handle to a key in an HSM or TPM that only signs is refused with `KeyUnavailable`, since pyOpenSSL has no way
        to call back for a signature; the hub's server key is a software key, and hardware keys sign above it.
        Raises `RuleViolation` when the key is another's or OpenSSL finds it too weak.
        """
        self = cls()
        self._client_certificates = client_certificates
        self._present_root = present_root
        self._alpn = tuple(name.encode("ascii") for name in alpn)
        self._refuse_unknown_names = refuse_unknown_names
        self._begun, self._failed = begun, handshake_failed
        self.replace(chain, key, others=others)
        return self

    def replace(self, chain: Chain, key: Any, *, others: Sequence[Served] | None = None) -> None:
        """Presents another chain from the next connection on; raises as `server` does, and then nothing changes.

        Connections that stand live on. Tickets of before are not honoured: those clients get a full handshake, and
        so see the new certificate. `others` stay as they are where they are not given.
        """
        kept = self._others if others is None else tuple(others)
        first, *rest = [(self._prepare(one), one.chain) for one in (Served(chain, key), *kept)]
        presented = Presented(first, rest)
        if rest or self._refuse_unknown_names:
            presented.callback = lowlevel_callbacks.choose_by_name(presented.context, self._chooser(presented))
        self._presented, self._served, self._others = presented, Served(chain, key), kept

    def serve_also(self, others: Sequence[Served]) -> None:
        """Other chains for other names, from the next connection on; raises as `replace`."""
        self.replace(self._served.chain, self._served.key, others=others)

    def forget_tickets(self) -> None:
        """Another key seals the tickets from now on: whoever comes with an old one gets a full handshake."""
        self.replace(self._served.chain, self._served.key)

    @property
    def chain(self) -> Chain:
        """What new connections are shown, unless they ask for another's name."""
        return self._presented.chain

    @property
    def names(self) -> frozenset[str]:
        """Every DNS name that there is a certificate for, lower-cased."""
        return self._presented.names

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> TlsConnection:
        """A new connection between the two buffers. Raises `ValueError` for the client's side."""
        if not server_side or server_hostname is not None or session is not None:
            raise ValueError("this context serves: use it with server_side=True, without server_hostname or session")
        engine = lowlevel.Engine(self._presented.context, incoming, outgoing, server_side=True)
        connection = TlsConnection(self, engine, self._presented, self._failed)
        if self._begun is not None:
            self._begun(connection)
        return connection

    def wrap_socket(self, *_: Any, **__: Any) -> NoReturn:
        """Raises `NotImplementedError`: a connection without an event loop would bypass this adapter."""
        raise NotImplementedError("use wrap_bio, or give the context to an event loop")

    def load_cert_chain(self, *_: Any, **__: Any) -> NoReturn:
        """Raises `NotImplementedError`: the base class's certificate would never be shown."""
        raise NotImplementedError("use replace(chain, key)")

    def _prepare(self, served: Served) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        _harden(context)
        if self._client_certificates:
            lowlevel_callbacks.ask_for_certificate(context)
        if self._alpn:
            context.set_alpn_select_callback(self._choose_protocol)
        _present(context, _shown(served.chain, present_root=self._present_root), served.key)
        return context

    def _chooser(self, presented: Presented) -> Callable[[SSL.Connection], bool]:
        refuse = self._refuse_unknown_names

        def choose(connection: SSL.Connection) -> bool:
            name = connection.get_servername()
            if name is None:
                return True
            found = presented.find(name.decode("ascii", "replace").lower())
            if found is None:
                return not refuse
            if found is not presented.context:
                connection.set_context(found)
            return True

        return choose

    def _choose_protocol(self, _: SSL.Connection, offered: list[bytes]) -> Any:
        return next((ours for ours in self._alpn if ours in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


def _harden(context: SSL.Context) -> None:
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_tls13_ciphersuites(CIPHER_SUITES)
    lowlevel_context.set_groups(context, GROUPS) or lowlevel_context.set_groups(context, CLASSIC_GROUPS)
    # A client could ask for handshake after handshake on one connection, each far dearer to us than to it.
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    # Sessions are kept by the clients, in tickets: strangers cannot fill our memory with them.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(_SESSION_ID_CONTEXT)
    context.set_timeout(int(TICKET_LIFETIME.total_seconds()))
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    lowlevel_context.write_whole(context)


def _shown(chain: Chain, *, present_root: bool) -> tuple[x509.Certificate, ...]:
    leaf, *issuers = chain.certificates
    if issuers and not present_root and is_self_signed(issuers[-1]):
        issuers.pop()
    return leaf, *issuers


def _present(context: SSL.Context, certificates: tuple[x509.Certificate, ...], key: Any) -> None:
    leaf, *issuers = certificates
    if key.public_key() != leaf.public_key():
        raise RuleViolation(
            "key-mismatch",
            "the private key does not belong to the server certificate",
            why=f"the certificate is {leaf.subject.rfc4514_string() or leaf.serial_number}",
            hint="give the key that its request was signed with, or issue the certificate anew",
        )
    try:
        context.use_certificate(leaf)
        for issuer in issuers:
            context.add_extra_chain_cert(issuer)
        lowlevel_context.use_key(context, _exported(key))
        context.check_privatekey()
    except SSL.Error as error:
        raise _refused(error) from error


def _exported(key: Any) -> bytes:
    try:
        pkcs8: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (AttributeError, NotImplementedError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnavailable(
            "this private key cannot serve TLS",
            why="it is a handle that signs and cannot be exported",
            hint="use a key in a file for the server certificate; keys in hardware belong to the CAs above it",
        ) from error
    return pkcs8


def _refused(error: SSL.Error) -> RuleViolation:
    reasons = [reason for _, _, reason in error.args[0]] if error.args else []
    weak = any("too small" in reason or "too weak" in reason for reason in reasons)
    return RuleViolation(
        "weak-key" if weak else "unsupported-algorithm",
        "OpenSSL does not take this server certificate or key",
        why="; ".join(reasons) or "no reason told",
        hint="issue it anew with one of the usual keys, such as ec-p256",
    )
