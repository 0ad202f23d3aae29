"""What became of a rotation, as the operator is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography import x509

from leafward.pki.chain import fingerprint
from leafward.wire.api_fields import moment
from leafward.wire.rotation import HubVerdict, Level

# "unproved": no hub has said anything yet.
State = Literal["done", "unproved", "rolled-back", "dry-run"]


@dataclass(frozen=True)
class Outcome:
    """`changed` has an entry a certificate, issuers first; `verdict` is the hub's, where it came in time."""

    level: Level
    state: State
    changed: list[dict[str, Any]] = field(default_factory=list)
    reason: str | None = None
    verdict: HubVerdict | None = None
    warnings: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "level": self.level,
            "state": self.state,
            "reason": self.reason,
            "changed": self.changed,
            "hub": None if self.verdict is None else self.verdict.fields(),
            "warnings": self.warnings,
        }


def changes(before: Mapping[str, x509.Certificate], after: Mapping[str, x509.Certificate]) -> list[dict[str, Any]]:
    """An entry for each certificate that is another now."""
    return [
        {
            "name": role,
            "before": fingerprint(old),
            "after": fingerprint(after[role]),
            "not_after": moment(after[role].not_valid_after_utc),
        }
        for role, old in before.items()
        if after[role] != old
    ]


def would_change(present: Mapping[str, x509.Certificate]) -> list[dict[str, Any]]:
    """The same for what is in use and would be replaced."""
    return [
        {"name": role, "before": fingerprint(one), "after": None, "not_after": moment(one.not_valid_after_utc)}
        for role, one in present.items()
    ]
