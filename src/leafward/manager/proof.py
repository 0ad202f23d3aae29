"""Proves a new chain before anybody else meets it: strict path validation, then a real handshake with itself.

Path validation says that the chain is right; the handshake says that this machine's TLS can serve it with this key and
that a client which has only the trust bundle accepts it. What fails here would have failed at every leaf device.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import RuleViolation
from leafward.keys.serial import new_serial
from leafward.manager.pairs import Pair
from leafward.pki.issuer import Issuer
from leafward.pki.names import Host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.verify import verify
from leafward.wire.tls import handshake


def prove_server(pair: Pair, anchors: Sequence[x509.Certificate], hosts: Sequence[Host], now: datetime) -> None:
    """Raises `RuleViolation`, or what the handshake raises, unless `pair` serves each of `hosts` to those who trust
    `anchors`. `now` is aware UTC.
    """
    for host in hosts:
        verdict = verify(pair.chain, anchors, now=now, name=host, purpose="server")
        if not verdict.valid:
            raise RuleViolation(
                verdict.rule or "chain-invalid",
                f"the new server certificate for {host} does not verify",
                why=verdict.reason,
                hint="leafward doctor on the home says more",
            )
    handshake.prove(pair.chain, pair.key, tuple(anchors), hosts[0], now=now)


def prove_ca(pair: Pair, anchors: Sequence[x509.Certificate], host: Host, now: datetime) -> None:
    """Raises unless a server certificate signed by the new CA serves `host`: one is made, proved and thrown away."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = CertificateRequest(public_key=key.public_key(), hosts=(host,))
    issuer = Issuer(pair.chain, pair.key)
    chain = issuer.prepare(profile("hub_server"), request, now=now, serial=new_serial()).sign()
    prove_server(Pair(chain, key), anchors, (host,), now)
