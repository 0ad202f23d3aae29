"""What is said about a rotation: the operator's wish to the manager, and the hub's verdict on its new certificate.

    operator --POST /rotate--> manager --event "certificate"--> hub --POST …/certificate/server/verdict--> manager

The hub proves a new chain before it serves it. Only it knows whether its own TLS takes it and its own clock finds it
good, so the manager keeps the old one until this verdict comes.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from leafward.errors import EncodingError
from leafward.wire.api_fields import Fields, to_json

ROTATE: Final = "/rotate"  # Management API
METRICS: Final = "/metrics"  # Management API; Prometheus' text format
VERDICT: Final = "/modules/{name}/genid/{genid}/certificate/server/verdict"  # Workload API, for $edgeHub

MAX_BODY = 64 * 1024  # bytes
LONGEST_REASON = 500  # characters

Level = Literal["device", "workload", "hub"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)


@dataclass(frozen=True, slots=True)
class RotateRequest:
    """POST /rotate: from this level down. `dry_run` only says what would be done."""

    level: Level
    dry_run: bool = False

    @classmethod
    def parse(cls, body: bytes) -> "RotateRequest":
        """Raises `EncodingError` that lists the levels."""
        fields = Fields.parse(body, "request", limit=MAX_BODY)
        level = fields.text("level", "hub")
        if level not in LEVELS:
            raise EncodingError("there is no such level", why=f"got {level[:32]!r}, expected {', '.join(LEVELS)}")
        return cls(level, _flag(fields, "dryRun", default=False))

    def to_json(self) -> bytes:
        return to_json({"level": self.level, "dryRun": self.dry_run})


@dataclass(frozen=True, slots=True)
class HubVerdict:
    """What the hub found. `sha256` is the leaf's fingerprint; `reason` why it was refused; `connections` that are open
    at the hub and live on, whatever the verdict.
    """

    sha256: str
    accepted: bool
    reason: str | None = None
    connections: int = 0

    @classmethod
    def parse(cls, body: bytes) -> "HubVerdict":
        """Raises `EncodingError`."""
        fields = Fields.parse(body, "verdict", limit=MAX_BODY)
        reason = fields.optional_text("reason")
        connections = fields.values.get("connections", 0)
        if not isinstance(connections, int) or isinstance(connections, bool) or connections < 0:
            raise EncodingError("the field 'connections' of the verdict is wrong", why="expected a count")
        accepted = _flag(fields, "accepted")
        return cls(fields.text("sha256"), accepted, reason and reason[:LONGEST_REASON], connections)

    def fields(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "sha256": self.sha256,
            "accepted": self.accepted,
            "reason": self.reason,
            "connections": self.connections,
        }

    def to_json(self) -> bytes:
        return to_json(self.fields())


def _flag(fields: Fields, name: str, *, default: bool | None = None) -> bool:
    value = fields.values.get(name, default)
    if not isinstance(value, bool):
        raise EncodingError(f"the field '{name}' is wrong", why="expected true or false")
    return value
