"""What became of the renewals since the start: how many, the last failure of each certificate, when to try again.

Kept in memory: after a restart a failure is found again at once, by trying.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


def role_name(role: str) -> str:
    """A role as a sentence has it: "device CA"."""
    return role.replace("_", " ").replace(" ca", " CA")


@dataclass(frozen=True, slots=True)
class Failure:
    """A renewal that failed: when (aware UTC), and the reason as a sentence."""

    at: datetime
    reason: str


@dataclass(slots=True)
class Record:
    """One certificate's renewals. `failures` counts those in a row; `last_failure` is gone after a success."""

    done: int = 0
    failed: int = 0
    failures: int = 0
    last_failure: Failure | None = None
    _tried: datetime | None = None
    _pause: timedelta = timedelta(0)

    def may_try(self, now: datetime) -> bool:
        """Whether the pause after the last try is over. A clock that was set back ends it too."""
        return self.next_try(now) is None

    def rest(self, now: datetime, pause: timedelta) -> None:
        """Not to be tried again before `pause` has passed."""
        self._tried, self._pause = now, pause

    def next_try(self, now: datetime) -> datetime | None:
        """When to try again; None where that is now."""
        if self._tried is None or now < self._tried or now >= self._tried + self._pause:
            return None
        return self._tried + self._pause


class RenewalJournal:
    """Records by role: "device_ca", "workload_ca", "hub_server". For the loop's thread."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def of(self, role: str) -> Record:
        """The record of one certificate."""
        return self._records.setdefault(role, Record())

    def succeeded(self, role: str) -> None:
        """Another certificate is in use."""
        record = self.of(role)
        record.done += 1
        record.failures, record.last_failure = 0, None

    def failed(self, role: str, reason: str, now: datetime) -> int:
        """The old one stays in use. How many times in a row by now."""
        record = self.of(role)
        record.failed += 1
        record.failures += 1
        record.last_failure = Failure(now, reason)
        return record.failures

    def postpone(self, role: str, now: datetime, pause: timedelta) -> None:
        """Not to be tried again before `pause` has passed."""
        self.of(role).rest(now, pause)

    def failures(self) -> dict[str, Failure]:
        """The last failure of each that has one, and was not renewed since."""
        return {role: record.last_failure for role, record in self._records.items() if record.last_failure}
