"""What a person means by a name, a fingerprint or a serial: an authority, or a certificate that was issued."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from leafward.authority.authorities import Authority
from leafward.authority.issuance import Issuance
from leafward.errors import NotFound
from leafward.pki.chain import Chain
from leafward.store.inventory import Issued


@dataclass(frozen=True)
class Found:
    """An authority with its chain, or a certificate; its chain is None where it was compacted."""

    authority: Authority | None = None
    issued: Issued | None = None
    chain: Chain | None = None


def look_up(issuance: Issuance, wanted: str, *, now: datetime) -> Found:
    """The authority of this name or fingerprint, else the certificate of this name, fingerprint or serial.

    Raises `NotFound` where nothing, or more than one thing, is meant.
    """
    try:
        authority = issuance.authorities.get(wanted)
    except NotFound:
        if not issuance.has_issued:
            raise
        return _issued(issuance, wanted, now)
    return Found(authority=authority, chain=authority.chain)


def _issued(issuance: Issuance, wanted: str, now: datetime) -> Found:
    inventory = issuance.ledger.inventory
    issued = inventory.get(wanted, now)
    try:
        certificate = x509.load_der_x509_certificate(inventory.der(issued.sha256))
    except NotFound:  # compacted
        return Found(issued=issued)
    return Found(issued=issued, chain=issuance.chain_of(certificate))
