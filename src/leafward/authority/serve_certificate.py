"""The server's own TLS certificate: issued by the authority to itself, renewed by itself, changed while it serves.

    maker/serve/NNNNNN/certificate.pem    the chain, leaf first
    maker/serve/NNNNNN/key.pem            its private key, 0600

A start uses the pair that stands when it fits: the same names, the same issuer, time left. A new one gets a new key.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import CERTIFICATE, KEY, Authority
from leafward.authority.issuance import Issuance
from leafward.errors import LeafwardError, NotFound
from leafward.keys.key_store import KeyReference, generate_key, open_key
from leafward.pki.chain import Chain
from leafward.pki.key_types import parse_key_type
from leafward.pki.names import Host
from leafward.pki.profiles import profile
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.pki.request import CertificateRequest
from leafward.pki.summary import alternative_names
from leafward.store.slots import Slot, Slots
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

FOLDER = "serve"
# One key type for every hierarchy: clients that verify ML-DSA or RSA chains can verify P-256 in the handshake too.
KEY_TYPE = "ec-p256"


class ServeCertificate:
    """Keeps a TLS context that presents a current certificate. `begin`, then `tend` now and then."""

    def __init__(self, folder: Path, issuance: Issuance, issuer: Authority, hosts: Sequence[Host]) -> None:
        self._slots = Slots(folder / FOLDER)
        self._issuance = issuance
        self._issuer = issuer
        self._hosts = tuple(hosts)
        self._policy = RenewalPolicy.parse()
        self._tls: TlsContext | None = None

    @property
    def context(self) -> TlsContext:
        """The context; only after `begin`."""
        assert self._tls is not None
        return self._tls

    def begin(self, now: datetime) -> None:
        """Takes the pair that stands, or makes one.

        Raises `KeyUnavailable` where one has to be made and the issuer cannot sign, `RuleViolation`, `StoreError`.
        """
        slot = self._standing(now) or self._make(now)
        chain, reference = _read(slot)
        self._tls = TlsContext.server(chain, open_key(reference), client_certificates=True)

    def tend(self, now: datetime) -> bool:
        """Renews when it is time; True where another certificate is presented from now on.

        A failure is logged, and the old certificate goes on serving. Blocks on disk and keys: run it beside the loop.
        """
        decision = self._policy.decide(self.context.chain.leaf, now)
        if not isinstance(decision, Renew):
            return False
        try:
            chain, reference = _read(self._make(now))
            self.context.replace(chain, open_key(reference))
        except LeafwardError as error:
            logger.warning("the server's certificate is due (%s) and was not renewed: %s", decision.reason, error)
            return False
        logger.info("serving a new certificate until %s", chain.leaf.not_valid_after_utc)
        return True

    def _standing(self, now: datetime) -> Slot | None:
        slot = self._slots.active()
        if slot is None:
            return None
        try:
            leaf, *issuers = _read(slot)[0].certificates
        except LeafwardError as error:
            logger.warning("the server's certificate is made anew: %s", error)
            return None
        wanted = {f"{'DNS' if hasattr(host, 'text') else 'IP'}:{host}" for host in self._hosts}
        fits = set(alternative_names(leaf)) == wanted and tuple(issuers) == self._issuer.chain.certificates
        return slot if fits and not isinstance(self._policy.decide(leaf, now), Renew) else None

    def _make(self, now: datetime) -> Slot:
        """Prepare, activate, retire. Killed in between, the old pair stands, and the next start begins again."""
        slot = self._slots.begin()
        key = generate_key(_reference(slot), parse_key_type(KEY_TYPE))
        request = CertificateRequest(public_key=key.public_key(), common_name=str(self._hosts[0]), hosts=self._hosts)
        chain = self._issuance.issue(profile("authority_server"), request, now=now, issuer=self._issuer, replacing=True)
        slot.write(CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
        self._slots.activate(slot)
        self._slots.retire()
        return slot


def _reference(slot: Slot) -> KeyReference:
    return KeyReference("file", str((slot.path / KEY).absolute()))


def _read(slot: Slot) -> tuple[Chain, KeyReference]:
    if not slot.has(KEY):
        raise NotFound(f"no key in {slot.path}")
    return Chain.from_pem(slot.read(CERTIFICATE)), _reference(slot)
