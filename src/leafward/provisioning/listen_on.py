"""Where a provisioning service listens that has a machine of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListenOn:
    """An address and two ports; 0 lets the system choose, and is then told as it is."""

    bind: str
    mqtt_port: int
    https_port: int
