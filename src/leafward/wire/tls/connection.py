"""One TLS connection in memory, with the face of the standard library's `ssl.SSLObject`.

asyncio, uvloop and aiohttp drive a TLS connection through that face: they put ciphertext into one `ssl.MemoryBIO`,
call `do_handshake`, `read`, `write`, `unwrap`, and send what they find in the other. Behind it here works pyOpenSSL.

    application <- read/write -> TlsConnection <- MemoryBIO -> event loop <-> socket

What this object does not do: it has no socket, no time-outs, and no opinion about a client's certificate. A connection
whose handshake is done is encrypted; who is at the other end the application finds out from `peer_certificates`.
"""

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.pki.chain import Chain
from leafward.wire.tls.alerts import Alert, alert_of
from leafward.wire.tls.client_hello import ClientHello, Opening, may_become_hello, opening_of, parse_client_hello
from leafward.wire.tls.lowlevel import Engine
from leafward.wire.tls.presented import Presented

if TYPE_CHECKING:
    from leafward.wire.tls.context import TlsContext

# Our own refusals that a TLS client should hear about. Garbage from something that speaks no TLS is not among them.
_SAID_ALOUD = frozenset(
    {
        "protocol_version",
        "handshake_failure",
        "insufficient_security",
        "inappropriate_fallback",
        "unrecognized_name",
    }
)
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})


class TlsConnection(ssl.SSLObject):
    """What `TlsContext.wrap_bio` makes and `transport.get_extra_info("ssl_object")` returns.

    Read and write raise as `ssl.SSLObject` does: `ssl.SSLWantReadError` when more ciphertext is needed,
    `ssl.SSLEOFError` when the stream ended without close_notify, `ssl.SSLError` with `reason` for the rest.
    """

    # The sessions of a server are in its clients' tickets.
    session: ssl.SSLSession | None = None
    # Whoever made this connection may keep here what it belongs to.
    owner: Any = None
    # The peer has said close_notify, and `take_in` has seen it.
    ended = False

    def __init__(
        self,
        context: "TlsContext",
        engine: Engine,
        presented: Presented,
        failed: Callable[["TlsConnection", ssl.SSLError], None] | None,
    ) -> None:
        self._context = context
        self._engine = engine
        self._presented = presented
        self._failed = failed
        self._refusal: ssl.SSLError | None = None
        self._established = False
        self._peer: tuple[x509.Certificate, ...] | None = None

    def do_handshake(self) -> None:
        """Takes the handshake as far as the bytes at hand allow; `ssl.SSLWantReadError` until it is done."""
        if not self._shake_hands():
            raise ssl.SSLWantReadError(ssl.SSLErrorNumber.SSL_ERROR_WANT_READ, "The operation did not complete (read)")

    def take_in(self, ciphertext: Any, size: int) -> list[bytes]:
        """For a transport of our own: takes `size` bytes that have come, in a buffer `lowlevel.pinned`, and gives what
        they say, decrypted. Until the handshake is done (`established`) they take that on, and nothing is given.

        Raises as `do_handshake` and `read` do, but for `ssl.SSLWantReadError`.
        """
        pieces: list[bytes] = []
        engine, taken = self._engine, 0
        while taken < size:
            taken += engine.give(ciphertext, taken, size - taken)
            if not self._established:
                try:
                    if not self._shake_hands(hold_tickets=True):
                        continue
                except ssl.SSLWantReadError:
                    continue
            try:
                self.ended = engine.read_all(pieces) or self.ended
            except ssl.SSLError as error:
                self._late_alert(error)
                raise
        return pieces

    def say_goodbye(self) -> bool:
        """Says close_notify; whether the peer has said it too."""
        return self._engine.say_goodbye()

    def _shake_hands(self, *, hold_tickets: bool = False) -> bool:
        if self._refusal is not None:
            raise self._refusal
        try:
            if not self._engine.shake_hands(hold_tickets=hold_tickets):
                self._refuse_another_protocol()
                return False
        except ssl.SSLError as error:
            self._end_handshake(error)
        self._established = True
        # Kept for the case of a failure alone: an idle connection shall not hold it.
        self._engine.beginning = None
        self._engine.settle()
        return True

    def _refuse_another_protocol(self) -> None:
        """Raises where what has come can never be a ClientHello, which OpenSSL would wait for."""
        beginning = self._engine.beginning
        if beginning is not None and not may_become_hello(beginning):
            problem: Any = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] the peer does not speak TLS")
            problem.library, problem.reason = "SSL", "WRONG_VERSION_NUMBER"
            raise problem

    def _end_handshake(self, error: ssl.SSLError) -> NoReturn:
        """Reports a failed handshake; raises `error` now, or at the next call when the peer is to hear of it."""
        if self._failed is not None:
            self._failed(self, error)
        # asyncio and uvloop drop what is still to be sent when a handshake fails, and the client would see a broken
        # connection instead of a reason. They do send it when the handshake asks for more.
        if _is_said_aloud(alert_of(error), error.reason):
            self._refusal = error
            raise ssl.SSLWantReadError(ssl.SSLErrorNumber.SSL_ERROR_WANT_READ, "waiting for the peer to close")
        raise error

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
        """Up to `len` bytes (bytes), or how many were put into `buffer`; one TLS record at most.

        Empty or 0 when the peer said close_notify.
        """
        try:
            return self._engine.read(len) if buffer is None else self._engine.read_into(buffer, len)
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._late_alert(error)
            raise

    def _late_alert(self, error: ssl.SSLError) -> None:
        """A TLS 1.3 client that looks at our certificate late sends its alert when the handshake is done for us."""
        if self._failed is not None and self._established and alert_of(error) is not None:
            self._failed(self, error)

    def write(self, data: Any) -> int:
        """Encrypts all of `data`; returns its length in bytes."""
        return self._engine.write(data)

    def pending(self) -> int:
        """Bytes that `read` may give without more from the network: decrypted ones, and ciphertext not looked at."""
        return self._engine.waiting()

    def unwrap(self) -> None:
        """Says close_notify and waits for the peer's; `ssl.SSLWantReadError` until that is there."""
        self._engine.shutdown()

    # ---- who is at the other end

    def peer_certificates(self) -> tuple[x509.Certificate, ...]:
        """What the peer presented, leaf first; empty when it presented none.

        The peer holds the leaf's private key: TLS proved that. Nothing else was checked: not the signatures, the
        dates, the names, nor whether these certificates belong together. Raises `EncodingError` when one of them
        cannot be read.
        """
        if self._peer is None:
            self._peer = self._engine.peer_certificates()
        return self._peer

    def peer_chains(self) -> list[x509.Certificate]:
        """`peer_certificates` as a list."""
        return list(self.peer_certificates())

    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
    @overload
    def getpeercert(self, binary_form: bool) -> dict[str, Any] | bytes | None: ...
    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """None without a certificate, else its DER; without `binary_form` an empty mapping, which says as in the
        standard library that there is one and TLS did not validate it. Raises `ValueError` before the handshake.
        """
        if not self._established:
            raise ValueError("handshake not done yet")
        if not self._engine.has_peer_certificate():
            return None
        return self.peer_certificates()[0].public_bytes(Encoding.DER) if binary_form else {}

    def get_unverified_chain(self) -> list[bytes]:
        """`peer_certificates` as DER, as `ssl.SSLObject` has it from Python 3.13."""
        return [certificate.public_bytes(Encoding.DER) for certificate in self.peer_certificates()]

    def get_verified_chain(self) -> list[bytes]:
        """Empty: TLS verified no chain."""
        return []

    @property
    def server_name(self) -> str | None:
        """The name the client asked for (SNI, RFC 6066 3), lower-cased; None when it asked for none."""
        name = self._engine.connection.get_servername()
        return None if name is None else name.decode("ascii", "replace").lower()

    # ---- what the peer wanted

    @property
    def established(self) -> bool:
        """The handshake is done."""
        return self._established

    @property
    def heard(self) -> bool:
        """Application data has come."""
        return self._engine.heard

    def opening(self) -> Opening:
        """What the peer spoke, as long as the handshake is not done; then "tls"."""
        beginning = self._engine.beginning
        return "tls" if beginning is None else opening_of(beginning)

    def hello(self) -> ClientHello | None:
        """What the client offered, as long as the handshake is not done; None where that was not understood."""
        beginning = self._engine.beginning
        return None if beginning is None else parse_client_hello(beginning)

    @property
    def chain(self) -> Chain:
        """What the client was shown, or would have been, had it come so far."""
        return self._presented.shown_by(self._engine.connection)

    # ---- what was agreed

    def version(self) -> str | None:
        """ "TLSv1.2" or "TLSv1.3"; None before the handshake is done."""
        return self._engine.connection.get_protocol_version_name() if self._established else None

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol version and secret bits of the cipher; None before one is agreed."""
        return self._engine.cipher()

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """The one cipher that was agreed: the others that the client offered are not to be had from pyOpenSSL."""
        cipher = self.cipher()
        return None if cipher is None else [cipher]

    def group(self) -> str | None:
        """The key exchange, such as "X25519MLKEM768" or "x25519"; None before the handshake is done."""
        return self._engine.group() if self._established else None

    def compression(self) -> None:
        """None: TLS compression is never on."""
        return

    def selected_alpn_protocol(self) -> str | None:
        """The application protocol agreed by ALPN (RFC 7301), None when there is none."""
        return self._engine.connection.get_alpn_proto_negotiated().decode("ascii", "replace") or None

    def selected_npn_protocol(self) -> None:
        """None: NPN is gone."""
        return

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """ "tls-exporter" (RFC 9266) or, for TLS 1.2 only, "tls-unique" (RFC 5929 3); None before the handshake.

        Raises `ValueError` for another type.
        """
        connection = self._engine.connection
        if cb_type not in {"tls-unique", "tls-exporter"}:
            raise ValueError(f"{cb_type} channel binding type not implemented; accepted are tls-unique, tls-exporter")
        if not self._established:
            return None
        if cb_type == "tls-exporter":
            return connection.export_keying_material(b"EXPORTER-Channel-Binding", 32)
        if self.version() != "TLSv1.2":
            return None
        # The first Finished message of the handshake: the client's, or in a resumed one the server's.
        first_is_ours = self.session_reused == self.server_side
        return connection.get_finished() if first_is_ours else connection.get_peer_finished()

    @property
    def session_reused(self) -> bool:
        """True when the handshake took up an earlier session: the client proved its key in that one."""
        return self._engine.resumed()

    @property
    def server_side(self) -> bool:
        """True."""
        return True

    @property
    def server_hostname(self) -> None:
        """None, as in the standard library on a server; see `server_name`."""
        return

    @property
    def context(self) -> "TlsContext":  # type: ignore[override]
        """The context that made this connection."""
        return self._context


def _is_said_aloud(alert: Alert | None, reason: str | None) -> bool:
    return alert is not None and not alert.from_peer and alert.name in _SAID_ALOUD and reason not in _NOT_TLS
