"""The room that touches pyOpenSSL's lower layer: `lib`, `ffi` and attributes with an underscore. With
`lowlevel_callbacks`, where OpenSSL calls us, `lowlevel_context` and `lowlevel_errors` it is the only one.

pyOpenSSL's own `recv` allocates what the caller asks for at each call, its `bio_read` raises when there is nothing to
read, and its `pending` leaves out what has arrived and is not decrypted yet: three things that cost an event loop most
of its speed, or hang it. So the moving of bytes is done here, one level below. None of it is a public promise of
pyOpenSSL: `tests/wire_tls/` holds a new version to it.

Memory: OpenSSL's memory BIOs never give back what they once grew to. So bytes go through them in pieces, and an idle
connection that once carried 5 MB does not keep 5 MB.
"""

import ssl
from collections.abc import Callable
from typing import Any, Final, NoReturn

from cryptography import x509
from OpenSSL import SSL, _util

from leafward.errors import EncodingError
from leafward.wire.tls.client_hello import KEPT
from leafward.wire.tls.lowlevel_errors import failure

_lib: Any = _util.lib
_ffi: Any = _util.ffi

# The most plain text one record holds (RFC 8446 5.1), and room for one such record with its header and tag.
RECORD: Final = 16 * 1024
_BUFFER: Final = RECORD + 1024
# Ciphertext handed to OpenSSL at once: two large records.
_FEED: Final = 2 * _BUFFER
# The most certificates a peer may show beside its own; real chains have four. OpenSSL itself takes 100 KiB of them.
MOST_PRESENTED: Final = 16

# Buffers to decrypt into and to carry ciphertext out. A list's pop and append are atomic, so two event loops in two
# threads never share one: OpenSSL works on them without the interpreter's lock.
_buffers: list[Any] = []
_ciphers: dict[Any, tuple[str, str, int]] = {}


def _buffer() -> Any:
    try:
        return _buffers.pop()
    except IndexError:
        return _ffi.new("char[]", _BUFFER)


class Engine:
    """One OpenSSL connection between two `ssl.MemoryBIO`: ciphertext comes from `incoming` and goes to `outgoing`.

    Every call raises what the standard library's `SSLObject` raises: `ssl.SSLWantReadError`, `SSLZeroReturnError`,
    `SSLEOFError`, `SSLCertVerificationError`, or `SSLError` with `reason`, `library` and `alert` (see `alerts.py`).
    """

    __slots__ = (
        "_dry",
        "_ended",
        "_from",
        "_held",
        "_incoming",
        "_into",
        "_outgoing",
        "_ssl",
        "beginning",
        "connection",
        "heard",
    )

    def __init__(
        self, context: SSL.Context, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *, server_side: bool
    ) -> None:
        self.connection = SSL.Connection(context)
        self._ssl: Any = self.connection._ssl  # noqa: SLF001
        self._into: Any = self.connection._into_ssl  # noqa: SLF001
        self._from: Any = self.connection._from_ssl  # noqa: SLF001
        self._incoming = incoming
        self._outgoing = outgoing
        self._dry = True  # OpenSSL has taken in all it was given
        self._ended = False  # it knows that no more will come
        self._held = False  # the tickets wait for the first answer
        # The peer's first bytes, until somebody sets None: what it wanted, should the handshake fail.
        self.beginning: bytes | None = b"" if server_side else None
        self.heard = False  # application data has come
        if server_side:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def handshake(self) -> None:
        """Takes the handshake as far as the bytes at hand allow; `ssl.SSLWantReadError` until it is done."""
        if not self.shake_hands():
            raise ssl.SSLWantReadError(_lib.SSL_ERROR_WANT_READ, "The operation did not complete (read)")

    def shake_hands(self, *, hold_tickets: bool = False) -> bool:
        """As `handshake`, but False until it is done: each handshake waits once or twice, and an error has a price.

        `hold_tickets`: what TLS 1.3 sends after it (RFC 8446 4.6.1) goes out with the first answer.
        """
        while True:
            _lib.ERR_clear_error()
            result = _lib.SSL_do_handshake(self._ssl)
            if result > 0:
                self._held = hold_tickets and _lib.SSL_version(self._ssl) == SSL.TLS1_3_VERSION
                if not self._held:
                    self._flush()
                return True
            error = _lib.SSL_get_error(self._ssl, result)
            if error != _lib.SSL_ERROR_WANT_READ:
                self._fail(error)
            if not self._feed():
                self._flush()
                return False

    def settle(self) -> None:
        """After the handshake: smaller buffers. Those of before have grown to a chain of certificates, and OpenSSL
        never shrinks one; an idle connection shall not hold them. Where something is held it is done later.
        """
        if self._held:
            return
        into, out = _lib.BIO_new(_lib.BIO_s_mem()), _lib.BIO_new(_lib.BIO_s_mem())
        _lib.BIO_set_mem_eof_return(into, -1)
        _lib.BIO_set_mem_eof_return(out, -1)
        # What has come with the client's last message is not lost; what was to be sent is.
        if _lib.BIO_get_mem_data(self._into, _ffi.NULL):
            left = _content(self._into)
            _lib.BIO_write(into, left, len(left))
        connection: Any = self.connection
        connection._into_ssl, connection._from_ssl = into, out  # noqa: SLF001
        self._into, self._from = into, out
        # OpenSSL frees the two that it had.
        _lib.SSL_set_bio(self._ssl, into, out)

    def give(self, ciphertext: Any, start: int, size: int) -> int:
        """Ciphertext that has come, `size` bytes from `start` in a `pinned` buffer: how many were taken, at most
        two large records. For a connection whose `incoming` has nothing to say.
        """
        pointer, size = ciphertext + start, min(size, _FEED)
        if self.beginning is not None:
            self._remember(_ffi.buffer(pointer, size)[:])
        _lib.BIO_write(self._into, pointer, size)
        self._dry = False
        return size

    def read_all(self, pieces: list[bytes]) -> bool:
        """All plain text that is to be had without the network; True when the peer has said close_notify."""
        ended, buffer = False, _buffer()
        try:
            while True:
                _lib.ERR_clear_error()
                count: int = _lib.SSL_read(self._ssl, buffer, RECORD)
                if count <= 0:
                    ended = self._no_more(count)
                    break
                self.heard = True
                pieces.append(_ffi.unpack(buffer, count))
                if not _lib.BIO_get_mem_data(self._into, _ffi.NULL) and not _lib.SSL_pending(self._ssl):
                    break
        finally:
            _buffers.append(buffer)
        self._dry = True
        # What OpenSSL may want to answer (a key update) goes out.
        if not self._held:
            self._flush()
        return ended

    def _no_more(self, count: int) -> bool:
        """Whether the peer has said close_notify, where a read gave nothing; raises where that is not in order."""
        error = _lib.SSL_get_error(self._ssl, count)
        if error == _lib.SSL_ERROR_ZERO_RETURN:
            return True
        if error != _lib.SSL_ERROR_WANT_READ:
            self._fail(error)
        return False

    def say_goodbye(self) -> bool:
        """Sends close_notify; True when the peer's is there too."""
        _lib.ERR_clear_error()
        result = _lib.SSL_shutdown(self._ssl)
        if result < 0:
            self._fail(_lib.SSL_get_error(self._ssl, result))
        self._flush()
        return bool(result)

    def shutdown(self) -> None:
        """Sends close_notify, then waits for the peer's: `ssl.SSLWantReadError` until that is there (RFC 8446 6.1)."""
        self._advance(_shut_down)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of plain text, one record at most; empty when the peer has said close_notify."""
        buffer = _buffer()
        try:
            count = self._pull(buffer, min(size, RECORD))
            return _ffi.unpack(buffer, count) if count else b""
        finally:
            _buffers.append(buffer)

    def read_into(self, target: Any, size: int) -> int:
        """As `read`, into a writable buffer: how many bytes, 0 when the peer has said close_notify."""
        with _ffi.from_buffer(target, require_writable=True) as pointer:
            return self._pull(pointer, min(size, len(pointer), RECORD))

    def write(self, data: Any) -> int:
        """Encrypts all of `data` (any buffer) and returns its length in bytes."""
        if isinstance(data, bytes) and len(data) <= RECORD:
            return self._put(data)
        view = memoryview(data).cast("B")
        return sum(self._put(bytes(view[start : start + RECORD])) for start in range(0, len(view), RECORD))

    def waiting(self) -> int:
        """Bytes to be had without the network: decrypted ones, and ciphertext that OpenSSL has not looked at yet.

        An event loop that asks before it reads (uvloop) would otherwise leave application data lying that came in one
        segment with the client's last handshake record, and wait for bytes that never come.
        """
        ciphertext: int = _lib.BIO_get_mem_data(self._into, _ffi.NULL)
        self._dry = not ciphertext
        total: int = ciphertext + _lib.SSL_pending(self._ssl)
        if not total:
            self._flush()
        return total

    def _advance(self, step: Callable[[Any], int]) -> None:
        while True:
            _lib.ERR_clear_error()
            result = step(self._ssl)
            if result > 0:
                return self._flush()
            error = _lib.SSL_get_error(self._ssl, result)
            if error != _lib.SSL_ERROR_WANT_READ or not self._feed():
                self._fail(error)

    def _put(self, data: bytes) -> int:
        if not data:
            return 0
        _lib.ERR_clear_error()
        count: int = _lib.SSL_write(self._ssl, data, len(data))
        if count <= 0:
            self._fail(_lib.SSL_get_error(self._ssl, count))
        self._flush()
        return count

    def _pull(self, pointer: Any, size: int) -> int:
        if size <= 0:
            return 0
        if self._dry:
            self._feed()
        while True:
            # OpenSSL before 4.0 blames this connection for an error that another one left in the thread's queue.
            _lib.ERR_clear_error()
            count: int = _lib.SSL_read(self._ssl, pointer, size)
            if count > 0:
                # What OpenSSL may want to answer (a key update) goes out when there is no more to read.
                self.heard = True
                return count
            error = _lib.SSL_get_error(self._ssl, count)
            if error == _lib.SSL_ERROR_ZERO_RETURN and _lib.SSL_get_shutdown(self._ssl) == _lib.SSL_RECEIVED_SHUTDOWN:
                return 0
            if error != _lib.SSL_ERROR_WANT_READ or not self._feed():
                self._fail(error)

    def _feed(self) -> bool:
        """Gives OpenSSL the next piece of what has arrived, or the news that it was the last; False when neither."""
        data = self._incoming.read(_FEED)
        if data:
            if self.beginning is not None:
                self._remember(data)
            _lib.BIO_write(self._into, data, len(data))
        elif self._incoming.eof and not self._ended:
            _lib.BIO_set_mem_eof_return(self._into, 0)
            self._ended = True
        else:
            self._dry = True
            return False
        self._dry = False
        return True

    def _remember(self, data: bytes) -> None:
        """The first bytes, as they came, up to a bound."""
        kept = self.beginning or b""
        if len(kept) < KEPT:
            self.beginning = kept + data[: KEPT - len(kept)]

    def _flush(self) -> None:
        """Carries to `outgoing` what OpenSSL wants sent: data, tickets, alerts."""
        buffer = _buffer()
        while (count := _lib.BIO_read(self._from, buffer, _BUFFER)) > 0:
            self._outgoing.write(_ffi.buffer(buffer, count))
            if count < _BUFFER:
                break
        _buffers.append(buffer)
        if self._held:
            self._held = False
            self.settle()

    def _fail(self, error: int) -> NoReturn:
        """Raises what the standard library raises for OpenSSL's `error`; the last bytes go out first."""
        codes: list[int] = list(iter(_lib.ERR_get_error, 0))
        last_words = _content(self._from) if codes else b""
        self._flush()
        raise failure(self._ssl, error, codes, last_words)

    # ---- what was agreed

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol version and secret bits; None before one is agreed."""
        pointer = _lib.SSL_get_current_cipher(self._ssl)
        if pointer == _ffi.NULL:
            return None
        # Ciphers are constants in OpenSSL, and there are few.
        known = _ciphers.get(pointer)
        if known is None:
            connection = self.connection
            known = (
                connection.get_cipher_name() or "",
                connection.get_cipher_version() or "",
                connection.get_cipher_bits() or 0,
            )
            _ciphers[pointer] = known
        return known

    def group(self) -> str | None:
        """The key exchange, such as X25519MLKEM768; None before the handshake."""
        return self.connection.get_group_name()

    def resumed(self) -> bool:
        """True when the handshake took up an earlier session."""
        return bool(_lib.SSL_session_reused(self._ssl))

    def has_peer_certificate(self) -> bool:
        """True when the peer presented a certificate, now or in the session that was resumed."""
        certificate = _lib.SSL_get_peer_certificate(self._ssl)
        if certificate == _ffi.NULL:
            return False
        _lib.X509_free(certificate)
        return True

    def peer_certificates(self) -> tuple[x509.Certificate, ...]:
        """What the peer presented, leaf first; empty when it presented none. Raises `EncodingError`."""
        presented = _lib.SSL_get_peer_cert_chain(self._ssl)
        count = 0 if presented == _ffi.NULL else _lib.sk_X509_num(presented)
        if count > MOST_PRESENTED:
            raise EncodingError("the peer shows too many certificates", why=f"got {count}, at most {MOST_PRESENTED}")
        # On a server OpenSSL's chain leaves out the leaf, on a client it starts with it.
        try:
            leaf = self.connection.get_peer_certificate(as_cryptography=True)
            chain = self.connection.get_peer_cert_chain(as_cryptography=True) or []
        except ValueError as error:
            raise EncodingError(
                "the peer's certificate cannot be read", why=str(error), hint="make it anew with a current tool"
            ) from error
        return () if leaf is None else (leaf, *(chain[1:] if chain[:1] == [leaf] else chain))

    def expect(self, *, name: str | None = None, address: bytes | None = None) -> None:
        """As a client: asks for that name (SNI too) or address (packed) in the server's certificate (RFC 9525)."""
        parameters = _lib.SSL_get0_param(self._ssl)
        if name is not None:
            encoded = name.encode("ascii")
            _lib.X509_VERIFY_PARAM_set1_host(parameters, encoded, len(encoded))
            self.connection.set_tlsext_host_name(encoded)
        if address is not None:
            _lib.X509_VERIFY_PARAM_set1_ip(parameters, address, len(address))


def pinned(room: bytearray) -> Any:
    """A buffer as OpenSSL reads it, for `Engine.give`. It cannot be resized as long as this lives."""
    return _ffi.from_buffer("char[]", room)


def _content(bio: Any) -> bytes:
    """What waits in a memory BIO, which keeps it."""
    pointer = _ffi.new("char **")
    size = _lib.BIO_get_mem_data(bio, pointer)
    return _ffi.buffer(pointer[0], size)[:] if size else b""


def _shut_down(connection: Any) -> int:
    """The first call sends our close_notify and answers 0; the second looks for the peer's."""
    return int(_lib.SSL_shutdown(connection) or _lib.SSL_shutdown(connection) or 1)
