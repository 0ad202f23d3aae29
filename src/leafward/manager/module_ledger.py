"""What modules were given: the server certificate each holds, so that it can be told when to ask for the next.

The manager keeps neither the key nor the certificate, only the name, the fingerprint and the dates, in memory. After a
restart of the manager a module that was given its certificate before is told nothing of it until it asks again.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from leafward.pki.chain import fingerprint
from leafward.pki.renewal import RenewalPolicy

# Modules are few; a bound all the same, since names come from outside.
MOST = 4096


@dataclass(frozen=True, slots=True)
class Holding:
    """One module's server certificate. Times are aware UTC."""

    module_id: str
    sha256: str
    due: datetime
    not_after: datetime
    not_before: datetime


class ModuleLedger:
    """One holding a module, the newest. For the loop's thread."""

    def __init__(self, policy: RenewalPolicy) -> None:
        self._policy = policy
        self._held: dict[str, Holding] = {}
        self._told: set[str] = set()

    def record(self, module_id: str, certificate: x509.Certificate) -> None:
        """The module has another certificate now."""
        self._held.pop(module_id, None)
        self._told.discard(module_id)
        self._held[module_id] = Holding(
            module_id,
            fingerprint(certificate),
            self._policy.due(certificate),
            not_after=certificate.not_valid_after_utc,
            not_before=certificate.not_valid_before_utc,
        )
        if len(self._held) > MOST:
            self.forget(next(iter(self._held)))

    def forget(self, module_id: str) -> None:
        """The module is no more."""
        self._held.pop(module_id, None)
        self._told.discard(module_id)

    def holdings(self) -> list[Holding]:
        """What every module holds."""
        return list(self._held.values())

    def untold(self) -> list[Holding]:
        """What becomes due, and its module was not told yet."""
        return [holding for holding in self._held.values() if holding.module_id not in self._told]

    def take_due(self, now: datetime) -> list[Holding]:
        """What is due, or was issued by a clock that was ahead, and its module was not told yet; it counts as told from
        now on.
        """
        due = [holding for holding in self.untold() if now >= holding.due or now < holding.not_before]
        self._told.update(holding.module_id for holding in due)
        return due
