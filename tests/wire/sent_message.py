"""A message as routes see it, for the tests of routes."""

from dataclasses import dataclass, field


@dataclass
class Sent:
    """A message as routes see it."""

    device_id: str = "leaf1"
    module_id: str | None = None
    output: str | None = None
    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


LEAF, MODULE, OUTPUT = Sent(), Sent("gw", "Filter"), Sent("gw", "Filter", "Out1")
