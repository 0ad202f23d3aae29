"""Connections that are no device's and no module's: a room takes them over by their CONNECT, packet for packet."""

from typing import Protocol

from leafward.hub.link import Connection
from leafward.wire.mqtt.packets import Connect, Packet


class Guest(Protocol):
    """One such connection, to its end."""

    def receive(self, packet: Packet) -> None: ...
    def over(self) -> None: ...


class GuestRoom(Protocol):
    """Knows its guests by their user name. `open` answers the CONNECT; None where it has refused it."""

    def takes(self, username: str | None) -> bool: ...
    def open(self, connection: Connection, packet: Connect) -> Guest | None: ...
