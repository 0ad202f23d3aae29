"""Chains made to be dear: a stranger must not buy much of the event loop's time with one handshake.

leaf <- c1 <- c2 <- ... <- c59, each key RSA with an exponent of its own size: every check costs as much as signing
"""

import contextlib
import math
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from leafward.errors import EncodingError
from leafward.pki.link import Link
from leafward.wire.tls import lowlevel, lowlevel_callbacks
from leafward.wire.tls.context import TlsContext

BITS = 2048


def key_with_a_huge_exponent(bits: int = BITS) -> Any:
    """e is as long as n; d is small, so that signing is quick and only checking is dear."""
    numbers = rsa.generate_private_key(65537, bits).private_numbers()
    p, q = numbers.p, numbers.q
    phi = (p - 1) * (q - 1)
    d = next(d for d in range(65537, 70_000, 2) if math.gcd(d, phi) == 1)
    public = rsa.RSAPublicNumbers(pow(d, -1, phi), p * q)
    private = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public)
    return private.private_key(unsafe_skip_rsa_key_validation=True)


def chain(count: int, ca_key: Any, leaf_key: Any, *, padding: int = 0) -> list[x509.Certificate]:
    """leaf <- c1 <- ... <- c(count-1); its top's issuer is not there."""
    now = datetime.now(UTC)

    def name(number: int) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"c{number}")])

    made = []
    for number in range(count):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(number))
            .issuer_name(name(number + 1))
            .public_key((ca_key if number else leaf_key).public_key())
            .serial_number(number + 1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=bool(number), path_length=None), critical=True)
        )
        if padding:
            blob = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(padding))
            builder = builder.add_extension(blob, critical=False)
        made.append(builder.sign(ca_key, hashes.SHA256()))
    return made


def shake_hands(context: TlsContext, certificates: list[x509.Certificate], key: Any) -> tuple[Any, float]:
    """The server's connection and the CPU seconds that it took; raises what the server raised."""
    settings = SSL.Context(SSL.TLS_CLIENT_METHOD)
    settings.use_certificate(certificates[0])
    settings.use_privatekey(key)
    for certificate in certificates[1:]:
        settings.add_extra_chain_cert(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = lowlevel.Engine(settings, to_client, to_server, server_side=False)
    seconds = 0.0
    while True:
        with contextlib.suppress(ssl.SSLWantReadError):
            client.handshake()
        begun = time.process_time()
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            seconds += time.process_time() - begun
        else:
            return server, seconds + time.process_time() - begun


LEAF_KEY = ec.generate_private_key(ec.SECP256R1())


def test_a_long_chain_of_dear_keys_is_refused_before_it_is_checked(context: Any) -> None:
    """60 certificates: half a second of one core, once."""
    dear = chain(60, key_with_a_huge_exponent(3072), LEAF_KEY)
    begun = time.process_time()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate rejected"):
        shake_hands(context, dear, LEAF_KEY)
    assert time.process_time() - begun < 0.1


def test_a_dear_key_of_the_client_itself(context: Any) -> None:
    """Its CertificateVerify would be checked with it."""
    key = key_with_a_huge_exponent()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate rejected"):
        shake_hands(context, chain(1, key, key), key)


def test_a_dear_key_behind_the_second_place(context: Any) -> None:
    """leaf <- c1 (usual) <- c2 (dear): OpenSSL does not look that far; whoever verifies the chain refuses it."""
    usual, dear = rsa.generate_private_key(65537, BITS), key_with_a_huge_exponent()
    certificates = [*chain(2, usual, LEAF_KEY), *chain(3, dear, LEAF_KEY)[2:]]
    server, _ = shake_hands(context, certificates, LEAF_KEY)
    assert server.peer_certificates() == tuple(certificates)


def test_a_dsa_issuer(context: Any) -> None:
    """Nobody's any more."""
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate rejected"):
        shake_hands(context, chain(2, dsa.generate_private_key(2048), LEAF_KEY), LEAF_KEY)


def test_a_long_chain_costs_no_more_than_a_short_one(context: Any) -> None:
    """16 certificates with usual keys, each of which would verify: one signature is checked, not fifteen."""
    key = rsa.generate_private_key(65537, 4096)
    certificates = chain(16, key, LEAF_KEY)
    verified: list[int] = []
    stack = lowlevel_callbacks._chain_built

    def counted(store_context: Any) -> Any:
        verified.append(len(stack(store_context)))
        return stack(store_context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lowlevel_callbacks, "_chain_built", counted)
        server, _ = shake_hands(context, certificates, LEAF_KEY)
    assert set(verified) == {2}
    assert server.peer_certificates() == tuple(certificates)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_usual_chains_are_seen_whole(context: Any, count: int, kind: str) -> None:
    """Up to eight certificates and more, leaf first."""
    key = rsa.generate_private_key(65537, BITS) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    certificates = chain(count, key, LEAF_KEY if count > 1 else key)
    server, _ = shake_hands(context, certificates, LEAF_KEY if count > 1 else key)
    assert server.peer_certificates() == tuple(certificates)


def test_more_certificates_than_any_chain_has(context: Any) -> None:
    """40: they are not even read."""
    server, _ = shake_hands(context, chain(40, LEAF_KEY, LEAF_KEY), LEAF_KEY)
    with pytest.raises(EncodingError, match="too many certificates"):
        server.peer_certificates()


def test_more_bytes_than_any_chain_has(context: Any) -> None:
    """OpenSSL's own bound of 100 KiB stands."""
    with pytest.raises(ssl.SSLError, match=r"(?i)excessive|too large"):
        shake_hands(context, chain(4, LEAF_KEY, LEAF_KEY, padding=30_000), LEAF_KEY)


def test_our_own_check_refuses_a_dear_key() -> None:
    """The signature is right, and is not looked at."""
    dear = chain(2, key_with_a_huge_exponent(), LEAF_KEY)
    assert not Link(*dear).signed
    usual = chain(2, rsa.generate_private_key(65537, BITS), LEAF_KEY)
    assert Link(*usual).signed
