"""A rehearsal: a TLS handshake between a leaf device and the hub, in memory, before a new certificate goes live.

Path validation says that a chain is good on paper. This says that a TLS client accepts what a TLS server presents with
this very key: the manager asks here before it activates a new certificate, and keeps the old one when the answer is no.

    client (strict) <- MemoryBIO -> TlsContext (as the hub uses it)

Two clients judge: the standard library's, which is what most leaf devices are built on, once a TLS version; and
pyOpenSSL's, whose newer OpenSSL knows ML-DSA and can be told the time.
"""

import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain
from leafward.pki.names import Host, HostName
from leafward.wire.tls import lowlevel, lowlevel_context
from leafward.wire.tls.alerts import alert_of
from leafward.wire.tls.context import TlsContext

# X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h): the standard library passes it on and has no name for it.
_NO_CHECK_TIME: Final = 0x200000
# The standard library's OpenSSL may be too old for other keys, such as ML-DSA.
_CLASSIC_KEYS: Final = (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)
# More flights than any TLS handshake has: a bound, so that a fault of ours cannot turn into an endless loop.
_MOST_FLIGHTS: Final = 10

# OpenSSL's verdicts (X509_V_ERR_*) as codes of our rules.
_CODES: Final = {
    7: "signature-invalid",
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "self-signed-server",
    19: "root-not-trusted",
    22: "chain-too-deep",
    25: "path-length-exceeded",
    26: "eku-missing-server-auth",
    30: "key-id-mismatch",
    32: "key-usage-missing-cert-sign",
    34: "unknown-critical-extension",
    47: "name-constraint-violated",
    48: "name-constraint-violated",
    62: "hostname-mismatch",
    64: "hostname-mismatch",
    66: "weak-key",
    67: "weak-key",
    68: "weak-signature",
    79: "not-a-ca",
    85: "authority-key-id-missing",
    86: "subject-key-id-missing",
    89: "basic-constraints-not-critical",
    92: "key-usage-missing-cert-sign",
}
_NO_PATH: Final = frozenset({2, 20, 21})
_HINTS: Final = {
    10: "issue the certificate anew, or correct this machine's clock",
    9: "correct this machine's clock",
    62: "issue the certificate for the name that leaf devices use",
    64: "issue the certificate for the address that leaf devices use",
    **dict.fromkeys(_NO_PATH, "present every certificate up to the root, and trust the root itself"),
}


# Given the two buffers, a client's end: what takes its handshake one step further.
_Client = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], Callable[[], None]]


def prove(
    chain: Chain,
    key: Any,
    anchors: Sequence[x509.Certificate],
    host: Host,
    *,
    now: datetime | None = None,
) -> None:
    """Shakes hands with ourselves as `host`, presenting `chain` with `key` to clients that trust `anchors` alone.

    `now` (aware) is the time the certificates are judged at; None leaves it to OpenSSL, which reads the system clock.
    Raises `RuleViolation` with the code of the rule that the client refused by, and what `TlsContext.server` raises.
    """
    if not anchors:
        raise RuleViolation("root-not-trusted", "there is nothing to trust", why="no root certificate was given")
    server = TlsContext.server(chain, key, client_certificates=True)
    for client in _clients(chain, anchors, host, now):
        _shake_hands(server, client, host)


def _clients(chain: Chain, anchors: Sequence[x509.Certificate], host: Host, now: datetime | None) -> Iterator[_Client]:
    keys = [certificate.public_key() for certificate in (*chain.certificates, *anchors)]
    if all(isinstance(key, _CLASSIC_KEYS) for key in keys):
        yield _standard_client(anchors, host, ssl.TLSVersion.TLSv1_2, check_time=now is None)
        yield _standard_client(anchors, host, ssl.TLSVersion.TLSv1_3, check_time=now is None)
    yield _newer_client(anchors, host, now)


def _standard_client(
    anchors: Sequence[x509.Certificate], host: Host, version: ssl.TLSVersion, *, check_time: bool
) -> _Client:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(cadata=b"".join(anchor.public_bytes(Encoding.DER) for anchor in anchors))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if not check_time:
        context.verify_flags |= _NO_CHECK_TIME

    def client(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> Callable[[], None]:
        return context.wrap_bio(incoming, outgoing, server_hostname=_text(host)).do_handshake

    return client


def _newer_client(anchors: Sequence[x509.Certificate], host: Host, now: datetime | None) -> _Client:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_PEER)
    store = lowlevel_context.trust(context, anchors)
    if now is not None:
        store.set_time(now.astimezone(UTC))

    def client(incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> Callable[[], None]:
        engine = lowlevel.Engine(context, incoming, outgoing, server_side=False)
        if isinstance(host, HostName):
            engine.expect(name=host.text)
        else:
            engine.expect(address=host.packed)
        return engine.handshake

    return client


def _shake_hands(server: TlsContext, client: _Client, host: Host) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True).do_handshake]
    waiting = ends
    try:
        for _ in range(_MOST_FLIGHTS):
            waiting = [end for end in ends if not _is_done(end)]
            if not waiting:
                return
    except ssl.SSLError as error:
        raise _refused(error, host) from error
    raise RuleViolation("refused-in-handshake", f"the TLS handshake as {_text(host)} does not come to an end")


def _is_done(end: Callable[[], None]) -> bool:
    try:
        end()
    except ssl.SSLWantReadError:
        return False
    return True


def _refused(error: ssl.SSLError, host: Host) -> RuleViolation:
    what = f"a TLS client refuses the certificate of {_text(host)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return RuleViolation(
            _code(error.verify_code), what, why=error.verify_message, hint=_HINTS.get(error.verify_code)
        )
    alert = alert_of(error)
    return RuleViolation(
        "refused-in-handshake", what, why=str(error) if alert is None else f"{alert.name}: {alert.meaning}"
    )


def _code(verdict: int) -> str:
    # A path that ends nowhere: which of the two is missing, the intermediate or the root, OpenSSL does not say.
    return "intermediate-missing" if verdict in _NO_PATH else _CODES.get(verdict, "refused-in-handshake")


def _text(host: Host) -> str:
    return host.text if isinstance(host, HostName) else str(host)
