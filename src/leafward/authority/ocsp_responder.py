"""The responders' certificates: for each CA one that may sign OCSP answers and nothing else, renewed by itself.

    maker/ocsp/KEYID/NNNNNN/certificate.pem, key.pem      a slot: certificate and key change together

Each station has its own. The CA's key is needed when one is made, and not for answers.
"""

import logging
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import CERTIFICATE, KEY, Authority
from leafward.authority.crl_shards import key_id_of
from leafward.authority.issuance import Issuance
from leafward.errors import LeafwardError, NotFound
from leafward.keys.key_store import KeyReference, generate_key, open_key
from leafward.pki.chain import Chain
from leafward.pki.key_types import key_type_of
from leafward.pki.ocsp import Responder
from leafward.pki.profiles import profile
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.pki.request import CertificateRequest
from leafward.store.slots import Slot, Slots

logger = logging.getLogger(__name__)

FOLDER = "ocsp"
# By half of its life: answers must not outlive it, and a CA's key may be out of reach for days.
_POLICY = "50%"


class Responders:
    """The responders of a maker's CAs, kept once they are read. One thread at a time."""

    def __init__(self, issuance: Issuance) -> None:
        self._issuance = issuance
        self._policy = RenewalPolicy.parse(_POLICY)
        self._held: dict[str, Responder] = {}

    def get(self, authority: Authority, now: datetime) -> Responder:
        """The responder of a CA, made or renewed where that is due. `now` is aware UTC.

        While it cannot be renewed the old one goes on to its end. Raises `KeyUnavailable` where there is none and the
        CA cannot sign one, `RuleViolation`, `StoreError`.
        """
        key_id = key_id_of(authority.chain.leaf)
        held = self._held.get(key_id) or self._standing(authority, key_id)
        if held is not None and held.chain.issuers != authority.chain.certificates:  # the CA was renewed
            held = None
        if held is None or isinstance(self._policy.decide(held.chain.leaf, now), Renew):
            held = self._renewed(authority, key_id, held, now)
        self._held[key_id] = held
        return held

    def _renewed(self, authority: Authority, key_id: str, held: Responder | None, now: datetime) -> Responder:
        try:
            return self._make(authority, key_id, now)
        except LeafwardError as error:
            if held is None or held.chain.leaf.not_valid_after_utc <= now:
                raise
            logger.warning("the OCSP responder of %r is due and was not renewed: %s", authority.name, error)
            return held

    def _standing(self, authority: Authority, key_id: str) -> Responder | None:
        """The one on the disk."""
        slot = self._slots(key_id).active()
        if slot is None:
            return None
        try:
            if not slot.has(KEY):
                raise NotFound(f"no key in {slot.path}")
            chain = Chain.from_pem(slot.read(CERTIFICATE))
            found = Responder(chain, open_key(_reference(slot)))
        except LeafwardError as error:
            logger.warning("the OCSP responder of %r is made anew: %s", authority.name, error)
            return None
        return found

    def _make(self, authority: Authority, key_id: str, now: datetime) -> Responder:
        """Prepare, activate, retire. Killed in between, the old pair stands, and the next start begins again."""
        slots = self._slots(key_id)
        slot = slots.begin()
        key = generate_key(_reference(slot), key_type_of(authority.chain.leaf.public_key()))
        request = CertificateRequest(public_key=key.public_key(), common_name=f"OCSP responder {key_id[:16]}")
        chain = self._issuance.issue(profile("ocsp_responder"), request, now=now, issuer=authority, replacing=True)
        slot.write(CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
        slots.activate(slot)
        slots.retire()
        return Responder(chain, key)

    def _slots(self, key_id: str) -> Slots:
        return Slots(self._issuance.folder / FOLDER / key_id)


def _reference(slot: Slot) -> KeyReference:
    return KeyReference("file", str((Path(slot.path) / KEY).absolute()))
