"""A subscription of one session: the granted QoS and the options that MQTT 5 adds (3.8.3.1)."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client asked for with one topic filter. In MQTT 3.1.1 there is only the QoS.

    `identifier` goes with every message that the subscription takes (3.8.2.1.2).
    """

    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int | None = None

    def to_json(self) -> Any:
        """As it stands in the file of sessions: the bare QoS where there is no more to it."""
        if self == Subscription(self.qos):
            return self.qos
        return [self.qos, self.no_local, self.retain_as_published, self.identifier]

    @classmethod
    def from_json(cls, value: Any, *, most: int) -> Self:
        """Reads what `to_json` wrote, of QoS `most` at most. Raises `ValueError` or `TypeError` for anything else."""
        if not isinstance(value, list):
            return cls(min(int(value), most))
        qos, no_local, as_published, identifier = value
        if identifier is not None and not 0 < int(identifier) < 1 << 28:
            raise ValueError(f"a subscription identifier is out of range: {identifier}")
        return cls(min(int(qos), most), bool(no_local), bool(as_published), identifier)
