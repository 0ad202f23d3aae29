"""Speaks to one EST server over HTTPS: one request on one connection, everything about it bounded.

The server is checked against the roots given and by its name (RFC 7030 3.3.1); TLS 1.2 or later. What it answers is
taken whole or not at all: at most so many bytes, at most so many seconds, no redirects. The calls block, so they
belong on a thread; `stop` from another thread ends the one that is under way.

NOTE: OpenSSL judges the server's dates by the system's clock, not by the manager's time floor.
"""

import contextlib
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from leafward.errors import AccessDenied, KeyUnavailable, LeafwardError, PeerUnavailable, ProtocolError, RuleViolation
from leafward.keys.key_store import PrivateKey
from leafward.pki.chain import Chain
from leafward.pki.encoding import certificates_to_pem, private_key_to_pem
from leafward.wire.basic import BasicCredentials, basic_header
from leafward.wire.est.answers import MAX_ANSWER, EstAnswer, read_certificates, refusal, retry_after
from leafward.wire.est.bodies import BASE64, PKCS10, TRANSFER_ENCODING, encode_body
from leafward.wire.est.server_url import ServerUrl
from leafward.wire.est.targets import Operation
from leafward.wire.tls.alerts import alert_of

# A whole exchange, from the connection to the last byte; an authority with its key in a slow token needs seconds.
EXCHANGE_SECONDS = 60.0
# One step of it: connecting, the handshake, waiting for the next bytes.
STEP_SECONDS = 20.0

# OpenSSL's X509_V_ERR_*: not yet valid, expired. Our clock may be the wrong one, and it may be right in a minute.
_OF_TIME = frozenset({9, 10})
_NAME_MISMATCH = frozenset({62, 64})
# What a server says in TLS of a client certificate that it does not take (RFC 8446 6.2).
_ABOUT_US = frozenset(
    {
        "bad_certificate",
        "unsupported_certificate",
        "certificate_revoked",
        "certificate_expired",
        "certificate_unknown",
        "unknown_ca",
        "access_denied",
        "certificate_required",
    }
)


@dataclass(frozen=True)
class Credential:
    """Who asks: a certificate with its key, a name with a password, or both. `label` is for messages."""

    label: str
    chain: Chain | None = None
    key: PrivateKey | None = field(default=None, repr=False)
    password: BasicCredentials | None = field(default=None, repr=False)


class EstClient:
    """`roots` are whom the server is checked against; `now` gives aware UTC times, for dates in Retry-After."""

    def __init__(
        self,
        url: ServerUrl,
        roots: Sequence[x509.Certificate],
        now: Callable[[], datetime],
        *,
        seconds: float = EXCHANGE_SECONDS,
    ) -> None:
        self.url = url
        self._roots = tuple(roots)
        self._now = now
        self._seconds = seconds
        self._guard = threading.Lock()
        self._line: socket.socket | None = None
        self._stopped = False
        self._late = False
        self.asked_to_wait: timedelta | None = None

    def ca_certificates(self) -> list[x509.Certificate]:
        """What cacerts answers: material for paths, and no reason to trust any of it (RFC 7030 4.1)."""
        return read_certificates(self._exchange(Operation.CA_CERTIFICATES), str(self.url))

    def enrol(self, der: bytes, credential: Credential, *, renewal: bool) -> list[x509.Certificate]:
        """What the server answers to the PKCS#10 request `der`, not judged yet; `renewal`: simplereenroll.

        Raises `PeerUnavailable` where the same request may succeed later, `AccessDenied`, `RequestError`, `NotFound`,
        `AlreadyExists`, `ProtocolError` or `EncodingError` (see `wire/est/answers.py`), `RuleViolation` for a server
        that is not the one meant, `KeyUnavailable` for a credential's key that TLS cannot use.
        """
        operation = Operation.SIMPLE_REENROLL if renewal else Operation.SIMPLE_ENROLL
        return read_certificates(self._exchange(operation, der, credential), str(self.url))

    def stop(self) -> None:
        """Ends the exchange under way, and refuses every further one. From any thread, at any time."""
        self._stopped = True
        self._cut()

    def _exchange(self, operation: Operation, der: bytes | None = None, who: Credential | None = None) -> EstAnswer:
        context = self._context(who)
        self.asked_to_wait = None
        try:
            with self._connected(context) as connection:
                body = None if der is None else encode_body(der)
                connection.request(operation.method, self.url.path(operation), body, _headers(body, who))
                answer = _read(connection.getresponse(), str(self.url))
        except (OSError, http.client.HTTPException) as error:
            raise self._explained(error) from error
        if answer.status != 200:
            self.asked_to_wait = retry_after(answer, self._now())
        return answer

    def _context(self, who: Credential | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=certificates_to_pem(self._roots).decode("ascii"))
        if who is not None and who.chain is not None and who.key is not None:
            _present(context, who.chain, who.key, who.label)
        return context

    @contextlib.contextmanager
    def _connected(self, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
        """A connection whose handshake is done, and that is cut when the whole exchange takes too long."""
        host = str(self.url.host)
        self._late = False
        timer = threading.Timer(self._seconds, self._cut, kwargs={"late": True})
        timer.daemon = True
        connection = http.client.HTTPSConnection(host, self.url.port, timeout=STEP_SECONDS, context=context)
        try:
            raw = socket.create_connection((host, self.url.port), timeout=STEP_SECONDS)
            self._watch(raw)
            timer.start()
            connection.sock = context.wrap_socket(raw, server_hostname=host)
            yield connection
        finally:
            timer.cancel()
            connection.close()
            self._watch(None)

    def _watch(self, raw: socket.socket | None) -> None:
        """Keeps a second descriptor of the connection: the first one is TLS's, and may be busy in another thread."""
        with self._guard:
            old, self._line = self._line, None if raw is None else raw.dup()
            if old is not None:
                old.close()
        if raw is not None and self._stopped:
            self._cut()

    def _cut(self, *, late: bool = False) -> None:
        with self._guard:
            if self._line is not None:
                self._late = late or self._late
                with contextlib.suppress(OSError):
                    self._line.shutdown(socket.SHUT_RDWR)

    def _explained(self, error: Exception) -> LeafwardError:
        """What went wrong below HTTP, or in it, and whether it may mend itself."""
        if self._stopped:
            return PeerUnavailable(f"the request to {self.url} was given up", why="the manager stops")
        if self._late:
            why = f"it did not answer whole within {self._seconds:.0f} s"
            return PeerUnavailable(f"the EST server {self.url} is too slow", why=why)
        if isinstance(error, ssl.SSLCertVerificationError):
            return _not_the_server(error, str(self.url))
        if isinstance(error, ssl.SSLError):
            return _tls_failed(error, str(self.url))
        if isinstance(error, OSError | http.client.IncompleteRead):
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return PeerUnavailable(f"the EST server {self.url} does not answer", why=why)
        why = f"{type(error).__name__}: what came is no HTTP"
        return ProtocolError(f"{self.url} does not answer as an EST server", why=why, hint="check enrolment.url")


def _headers(body: bytes | None, who: Credential | None) -> dict[str, str]:
    headers = {"Accept": "*/*", "Connection": "close"}
    if body is not None:
        headers |= {"Content-Type": PKCS10, TRANSFER_ENCODING: BASE64}
    if who is not None and who.password is not None:
        # At once, not after a 401: the server has proved who it is, and is the one that the operator named.
        headers["Authorization"] = basic_header(who.password)
    return headers


def _read(response: http.client.HTTPResponse, server: str) -> EstAnswer:
    """The whole answer, where it is no larger than any that we would use."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    text = headers.get("content-length", "")
    announced = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    too_large = announced is not None and announced > MAX_ANSWER
    body = b"" if too_large else response.read(MAX_ANSWER + 1)
    if too_large or len(body) > MAX_ANSWER:
        if response.status != 200:
            raise refusal(EstAnswer(response.status, headers), server)
        why = f"expected at most {MAX_ANSWER} bytes"
        raise ProtocolError(f"the answer of {server} is too large", why=why, hint="check enrolment.url")
    if announced is not None and len(body) < announced:
        raise http.client.IncompleteRead(body, announced - len(body))
    return EstAnswer(response.status, headers, body)


def _present(context: ssl.SSLContext, chain: Chain, key: PrivateKey, label: str) -> None:
    """Loads a client certificate and its key, which `ssl` takes from a file only: one in memory, without a name."""
    pem = chain.without_root().to_pem() + private_key_to_pem(key)
    with os.fdopen(os.memfd_create("leafward-est", os.MFD_CLOEXEC), "wb") as file:
        file.write(pem)
        file.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        except (ssl.SSLError, OSError) as error:
            why = getattr(error, "reason", None) or str(error)
            hint = "give it with a key that belongs to it, of a usual kind such as ec-p256"
            raise KeyUnavailable(f"TLS cannot present {label}", why=why, hint=hint) from None


def _not_the_server(error: ssl.SSLCertVerificationError, server: str) -> LeafwardError:
    what = f"{server} is not the EST server that was meant"
    if error.verify_code in _OF_TIME:
        # Not a refusal for good: a gateway without a battery-backed clock starts in 1970.
        return PeerUnavailable(what, why=f"{error.verify_message}; this machine's clock may be wrong")
    if error.verify_code in _NAME_MISMATCH:
        hint = "give the name in enrolment.url that is in the server's certificate"
        return RuleViolation("hostname-mismatch", what, why=error.verify_message, hint=hint)
    hint = "name the root of the EST server's certificate in enrolment.trust"
    return RuleViolation("root-not-trusted", what, why=error.verify_message, hint=hint)


def _tls_failed(error: ssl.SSLError, server: str) -> LeafwardError:
    alert = alert_of(error)
    if alert is not None and alert.from_peer and alert.name in _ABOUT_US:
        hint = "ask the maker which credential this server takes"
        return AccessDenied(f"the EST server {server} refuses our certificate", why=alert.meaning, hint=hint)
    reason = error.reason or str(error)
    if reason in {"WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "HTTP_REQUEST"}:
        why = f"got {reason.lower().replace('_', ' ')}, expected TLS 1.2 or later"
        return ProtocolError(f"{server} does not answer as an EST server", why=why, hint="check enrolment.url")
    return PeerUnavailable(f"TLS with the EST server {server} failed", why=reason)
