"""The OpenSSL that `cryptography` brings, newer than Debian's: it knows every key type, ML-DSA too.

It judges peers in handshakes, and what no peer presents by its path alone.
"""

from ipaddress import ip_address
from typing import Any

from OpenSSL import SSL, _util, crypto

from tests.oracles.buffers import End, NewerEnd, shake_hands
from tests.oracles.case import ACCEPTED, Case
from tests.oracles.stand import presenting
from tests.oracles.trial import hold

_lib: Any = _util.lib
STRICT = crypto.X509StoreFlags.X509_STRICT | crypto.X509StoreFlags.CHECK_SS_SIGNATURE


def test_every_chain(docket, own):
    """Each kind, key type and depth: **connected**; each control: **refused**"""

    def judging(case: Case) -> End:
        of_server = case.purpose == "server"
        context = SSL.Context(SSL.TLS_METHOD) if of_server else presenting(own)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
        _trust(context.get_cert_store(), case)
        end = NewerEnd(context, server=not of_server)
        if case.host is not None:
            _expect(end, case.host)
        return end

    def judge(case: Case) -> str:
        return shake_hands(case, judging) if case.purpose in ("server", "client") else _path(case)

    hold("openssl-4", docket, lambda cases: list(map(judge, cases)))


def _trust(store: crypto.X509Store, case: Case) -> None:
    store.add_cert(crypto.X509.from_cryptography(case.anchor))
    store.set_flags(STRICT)


def _path(case: Case) -> str:
    """Its verdict on a path, without a purpose or a name."""
    store = crypto.X509Store()
    _trust(store, case)
    leaf, *issuers = map(crypto.X509.from_cryptography, case.chain)
    try:
        crypto.X509StoreContext(store, leaf, issuers).verify_certificate()
    except crypto.X509StoreContextError as refused:
        return str(refused)
    return ACCEPTED


def _expect(end: NewerEnd, host: str) -> None:
    """Asks for the name or address, which pyOpenSSL itself has no call for."""
    parameters = _lib.SSL_get0_param(end.connection._ssl)
    try:
        packed = ip_address(host).packed
    except ValueError:
        assert _lib.X509_VERIFY_PARAM_set1_host(parameters, host.encode(), len(host))
    else:
        assert _lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
