"""A key and its chain that change together: prepare, prove, activate, retire.

What the manager keeps for itself is a pair in slots: the workload CA and the hub's server certificate. A new pair is
made in a new slot, read back, proved by whoever will rely on it, and only then put in place of the old one. A failure,
a kill or a power cut at any step leaves the old pair in use, and never a key without its certificate or the reverse.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import Damaged, InputError, KeyUnavailable, LeafwardError, NotFound, RuleViolation, StoreError
from leafward.keys.key_store import KeyReference, PrivateKey, generate_key, open_key
from leafward.pki.admission import check_key_belongs
from leafward.pki.chain import Chain
from leafward.pki.key_types import KeyType, PublicKey
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.store.slots import Slot, Slots

CERTIFICATE = "certificate.pem"
KEY = "key.pem"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A chain (leaf first) and the private key of its leaf."""

    chain: Chain
    key: PrivateKey = field(repr=False)

    @property
    def belongs_together(self) -> bool:
        """Whether the key is the leaf's."""
        try:
            check_key_belongs(self.chain.leaf, self.key.public_key())
        except RuleViolation:
            return False
        return True


class PairSlots:
    """Where one pair is kept."""

    def __init__(self, folder: Path, key_type: KeyType) -> None:
        self._slots = Slots(folder)
        self._key_type = key_type

    def active(self) -> Pair | None:
        """The pair in use; None when there is none yet, and, with a warning, when it does not read back as one."""
        slot = self._slots.active()
        if slot is None:
            return None
        try:
            pair = _read(slot)
        except (NotFound, Damaged, InputError, KeyUnavailable) as error:
            # A key that others could have read is among these: it must not sign any more.
            _log.warning("the key and certificate in %s cannot be used and will be made anew: %s", slot.path, error)
            return None
        if not pair.belongs_together:
            _log.warning("the key in %s is not its certificate's; both will be made anew", slot.path)
            return None
        return pair

    def replace(self, issue: Callable[[PublicKey], Chain], prove: Callable[[Pair], None]) -> Pair:
        """Puts a new pair in place: a new key, the chain that `issue` makes for it, `prove` to refuse it by raising.

        Raises what they raise, with the old pair still in use and the new key gone.
        """
        slot = self._slots.begin()
        try:
            key = generate_key(_reference(slot), self._key_type)
            slot.write(CERTIFICATE, issue(key.public_key()).to_pem(), mode=disk.PUBLIC)
            pair = _read(slot)  # what will be found at the next start is what is proved
            prove(pair)
            self._slots.activate(slot)
        except LeafwardError:
            self._retire()
            raise
        self._retire()
        return pair

    def tidy(self) -> None:
        """Removes what a killed manager left unfinished: a key that never came into use."""
        self._retire()

    def _retire(self) -> None:
        """The new pair is in use by now; an old one that cannot be removed must not undo that."""
        try:
            self._slots.retire()
        except StoreError as error:
            _log.warning("an old key could not be removed: %s", error)


class KeptCertificate(ABC):
    """A certificate of the manager's own: kept while it is right and not due, replaced otherwise."""

    name: str

    def __init__(self, slots: PairSlots, policy: RenewalPolicy, now: Callable[[], datetime]) -> None:
        self._slots = slots
        self._policy = policy
        self._now = now
        self._pair: Pair | None = None

    @property
    def pair(self) -> Pair:
        """The pair in use. Raises `NotFound` before the first `ensure`."""
        if self._pair is None:
            raise NotFound(f"there is no {self.name} yet", hint="wait until the manager is ready")
        return self._pair

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate in use."""
        return self.pair.chain.leaf

    def ensure(self) -> bool:
        """Reads what is kept, and issues anew only where that is missing, wrong or due. True when it issued."""
        self._pair = self._slots.active()
        reason = "there was none" if self._pair is None else self.due()
        if reason is None:
            self._slots.tidy()
            return False
        _log.info("issuing the %s: %s", self.name, reason)
        self.renew()
        return True

    def due(self) -> str | None:
        """Why the certificate in use is to be replaced now; None while it is good.

        One that already lives as long as its issuer is left alone: a new one would end at the same time, and a hub
        would get a new certificate every few minutes towards the end.
        """
        fault = self.fault(self.pair)
        if fault is not None:
            return fault
        decision = self._policy.decide(self.certificate, self._now())
        if isinstance(decision, Renew) and self.certificate.not_valid_after_utc < self.longest_end():
            return decision.reason
        return None

    def renew(self) -> None:
        """Issues, proves and puts in place a new pair. Raises, with the old one still in use, where that fails."""
        self._pair = self._slots.replace(self.issue, self.prove)

    @abstractmethod
    def fault(self, pair: Pair) -> str | None:
        """What makes a pair wrong whatever its age: another issuer, other names; None when nothing does."""

    @abstractmethod
    def longest_end(self) -> datetime:
        """The latest end (aware, UTC) that a new certificate could have: its issuer's."""

    @abstractmethod
    def issue(self, public_key: PublicKey) -> Chain:
        """A new chain for a key."""

    @abstractmethod
    def prove(self, pair: Pair) -> None:
        """Raises unless the pair does what it is for, as others will judge it."""


def first_end(chain: Chain) -> datetime:
    """When the first certificate of a chain ends: nothing issued below lives longer. Aware, UTC."""
    return min(certificate.not_valid_after_utc for certificate in chain)


def _read(slot: Slot) -> Pair:
    return Pair(Chain.from_pem(slot.read(CERTIFICATE)), open_key(_reference(slot)))


def _reference(slot: Slot) -> KeyReference:
    return KeyReference("file", str(slot.path.absolute() / KEY))
