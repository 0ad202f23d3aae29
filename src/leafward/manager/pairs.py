"""A key and its chain that change together: prepare, prove, activate, settle or roll back.

What the manager keeps for itself is a pair in slots: the workload CA and the hub's server certificate. A new pair is
made in a new slot, read back, proved by whoever will rely on it, and only then put in place of the old one. The old one
stays on the disk until the hub has proved the new one too (`settle`), and can be put back (`roll_back`). A failure, a
kill or a power cut at any step leaves a pair in use that was proved, and never a key without its certificate or the
reverse.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm

from leafward import disk
from leafward.errors import InputError, KeyUnavailable, LeafwardError, NotFound, RuleViolation, StoreError
from leafward.keys.key_store import KeyReference, PrivateKey, generate_key, open_key
from leafward.pki.admission import check_chain, check_key_belongs
from leafward.pki.chain import Chain
from leafward.pki.key_types import KeyType, PublicKey
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
        slot = self._active_slot()
        return None if slot is None else _usable(slot)

    def previous(self) -> Pair | None:
        """The pair that `roll_back` would put back; None where there is none, or it does not read back as one."""
        slot = self._slots.previous()
        return None if slot is None else _usable(slot)

    def replace(
        self,
        issue: Callable[[PublicKey], Chain],
        prove: Callable[[Pair], None],
        *,
        keep_key: bool = False,
        restorable: bool = True,
    ) -> Pair:
        """Puts a new pair in place: a new key, the chain that `issue` makes for it, `prove` to refuse it by raising.

        `keep_key`: the key of the pair in use goes on in the new pair, where it can be read. `restorable`: the pair in
        use is kept for `roll_back`. Raises what `issue` and
        `prove` raise, with the old pair still in use and the new key gone.
        """
        active = self._active_slot()
        if active is None:
            self._slots.forget()
        self._retire()  # a manager that is killed over and over must not leave a key each time
        slot = self._slots.begin()
        try:
            key = self._key(slot, active if keep_key else None)
            slot.write(CERTIFICATE, issue(key.public_key()).to_pem(), mode=disk.PUBLIC)
            pair = _read(slot)  # what will be found at the next start is what is proved
            prove(pair)
            self._slots.activate(slot, restorable=restorable)
        except LeafwardError:
            self._retire()
            raise
        self._retire()
        return pair

    def settle(self) -> None:
        """The pair in use is proved by all who rely on it: the one before it goes."""
        self._retire(self._slots.settle)

    def roll_back(self) -> None:
        """Puts the pair before the one in use back in its place."""
        self._slots.roll_back()

    def tidy(self) -> None:
        """Removes what a killed manager left unfinished: a key that never came into use."""
        self._retire()

    def _active_slot(self) -> Slot | None:
        """None, with a warning, also where what says which slot is active is damaged."""
        try:
            return self._slots.active()
        except StoreError as error:
            _log.warning("the key and certificate will be made anew: %s", error)
            return None

    def _key(self, slot: Slot, kept: Slot | None) -> PrivateKey:
        """A new key in `slot`, or that of the slot `kept`."""
        if kept is None or _usable(kept) is None:
            return generate_key(_reference(slot), self._key_type)
        slot.write(KEY, kept.read(KEY), mode=disk.PRIVATE)
        return open_key(_reference(slot))

    def _retire(self, how: Callable[[], int] | None = None) -> None:
        """The new pair is in use by now; an old one that cannot be removed must not undo that."""
        try:
            (how or self._slots.retire)()
        except StoreError as error:
            _log.warning("an old key could not be removed: %s", error)


def first_end(chain: Chain) -> datetime:
    """When the first certificate of a chain ends: nothing issued below lives longer. Aware, UTC."""
    return min(certificate.not_valid_after_utc for certificate in chain)


def _usable(slot: Slot) -> Pair | None:
    try:
        pair = _read(slot)
        check_chain(pair.chain)  # a disk that lost one bit of a certificate must not be found out by leaf devices
        belongs = pair.belongs_together
    except (NotFound, StoreError, InputError, KeyUnavailable, RuleViolation, ValueError, UnsupportedAlgorithm) as error:
        # A key that others could have read is among these: it must not sign any more.
        _log.warning("the key and certificate in %s cannot be used and will be made anew: %s", slot.path, error)
        return None
    if not belongs:
        _log.warning("the key in %s is not its certificate's; both will be made anew", slot.path)
        return None
    return pair


def _read(slot: Slot) -> Pair:
    return Pair(Chain.from_pem(slot.read(CERTIFICATE)), open_key(_reference(slot)))


def _reference(slot: Slot) -> KeyReference:
    return KeyReference("file", str(slot.path.absolute() / KEY))
