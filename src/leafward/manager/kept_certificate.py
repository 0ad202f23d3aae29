"""A certificate of the manager's own: kept while it is right and not due, replaced otherwise, put back if refused.

    due or wrong --renew--> in use, on probation --settle--> in use
                                    `--roll_back--> the one before it in use again

On probation means that the hub has not proved it yet. Only then the pair before it still exists.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime

from cryptography import x509

from leafward.errors import NotFound
from leafward.manager.pairs import Pair, PairSlots, first_end
from leafward.manager.settings import RenewalSettings
from leafward.pki.chain import Chain
from leafward.pki.key_types import PublicKey
from leafward.pki.renewal import Renew

_log = logging.getLogger(__name__)


class KeptCertificate(ABC):
    """Changed by one thread at a time (a lock sees to it), which need not be the loop's; read by any."""

    name: str
    role: str

    def __init__(self, slots: PairSlots, renewal: RenewalSettings, now: Callable[[], datetime]) -> None:
        self._slots = slots
        self._policy = renewal.policy
        self._rekey = renewal.rekey
        self._now = now
        self._pair: Pair | None = None
        self._changing = threading.RLock()

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

    @property
    def on_probation(self) -> bool:
        """Whether there is a pair to go back to."""
        return self._slots.previous() is not None

    def ensure(self) -> bool:
        """Reads what is kept, and issues anew only where that is missing, wrong or due. True when it issued."""
        self._pair = self._slots.active()
        self._forget_expired()
        reason = "there was none" if self._pair is None else self.due()
        if reason is None:
            self._slots.tidy()
            return False
        _log.info("issuing the %s: %s", self.name, reason)
        self.renew()
        self._forget_expired()
        return True

    def due(self) -> str | None:
        """Why the certificate in use is to be replaced now; None while it is good.

        One that already lives as long as its issuer is left alone: a new one would end at the same time, and a hub
        would get a new certificate every few minutes towards the end.
        """
        fault = self.fault(self.pair)
        if fault is not None:
            return fault
        if self.certificate.not_valid_before_utc > self._now():
            return "it was issued while the clock was ahead, and is not valid yet"
        decision = self._policy.decide(self.certificate, self._now())
        if isinstance(decision, Renew) and self.certificate.not_valid_after_utc < self.longest_end():
            return decision.reason
        return None

    def renew(self, *, rekey: bool | None = None) -> None:
        """Issues, proves and puts in place a new pair, on probation. Raises, with the old one in use, where that fails.

        `rekey` None is what the settings say.
        """
        with self._changing:
            keep_key = not (self._rekey if rekey is None else rekey)
            # One that is not valid now is nothing to go back to, and its key has no further use.
            restorable = self._pair is not None and self._is_valid(self._pair)
            self._pair = self._slots.replace(self.issue, self.prove, keep_key=keep_key, restorable=restorable)

    def settle(self) -> None:
        """The certificate in use has proved itself at the hub."""
        with self._changing:
            self._slots.settle()

    def roll_back(self) -> bool:
        """Puts the pair before the one in use back in its place; False, changing nothing, where that would not serve.

        It would not where it is gone, expired meanwhile, or wrong by now: another issuer, other names.
        """
        with self._changing:
            previous = self._slots.previous()
            if previous is None or not self._is_valid(previous) or self.fault(previous) is not None:
                return False
            self._slots.roll_back()
            self._pair = previous
            return True

    def _is_valid(self, pair: Pair) -> bool:
        begins = max(certificate.not_valid_before_utc for certificate in pair.chain)
        return begins <= self._now() <= first_end(pair.chain)

    def _forget_expired(self) -> None:
        """A pair that has expired is nothing to go back to: its key has no further use."""
        previous = self._slots.previous()
        if previous is not None and self._pair is not None and self._now() > first_end(previous.chain):
            self._slots.settle()

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
