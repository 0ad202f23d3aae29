"""Wills: what the hub publishes for a client that went without a goodbye (MQTT 3.1.1 and 5, 3.1.2.5).

A will on the client's own telemetry topic is telemetry; one on a plain topic goes where that goes. With MQTT 5 it may
wait (3.1.3.2.2): a client that comes back to its session in time takes it back, and one whose session ends meanwhile
has it published then.
"""

from collections.abc import Callable
from typing import Protocol

from leafward.hub.exchange import Exchange
from leafward.hub.peer import Peer
from leafward.hub.plain_policy import is_plain
from leafward.hub.telemetry import Intake
from leafward.wire.hub_topics import HubTopics, Telemetry
from leafward.wire.mqtt.packets import Publish, Will


class Handle(Protocol):
    """A timer that can be stopped."""

    def cancel(self) -> None: ...


class Wills:
    """The wills that wait. `later` calls a function after some seconds, as a loop's `call_later` does."""

    def __init__(
        self, intake: Intake, exchange: Exchange, later: Callable[[float, Callable[[], None]], Handle]
    ) -> None:
        self._intake = intake
        self._exchange = exchange
        self._later = later
        self._waiting: dict[str, tuple[Peer, Will, Handle]] = {}

    def gone(self, peer: Peer, will: Will, delay: float) -> None:
        """The client went without a goodbye: its will is published, `delay` seconds from now where that is not 0."""
        if not delay:
            self._publish(peer, will)
            return
        self.back(peer.client_id, continued=False)
        handle = self._later(delay, lambda: self.back(peer.client_id, continued=False))
        self._waiting[peer.client_id] = (peer, will, handle)

    def back(self, client_id: str, *, continued: bool) -> None:
        """The client is here again: with its session (`continued`) its will is taken back, else it is published."""
        waiting = self._waiting.pop(client_id, None)
        if waiting is None:
            return
        peer, will, handle = waiting
        handle.cancel()
        if not continued:
            self._publish(peer, will)

    def all_now(self) -> None:
        """The hub stops, and nothing can wait in it."""
        for client_id in list(self._waiting):
            self.back(client_id, continued=False)

    def _publish(self, peer: Peer, will: Will) -> None:
        topics = HubTopics(peer.device_id, peer.module_id)
        if not is_plain(will.topic):
            parsed = topics.parse_publish(will.topic)
            assert isinstance(parsed, Telemetry)
            # IoT Hub marks such a message so that the back end can tell it from telemetry.
            properties = {**parsed.properties, "iothub-MessageType": "Will"}
            self._intake.take(
                peer, will.payload, _NOBODY, 0, output=parsed.output, properties=properties, system=parsed.system
            )
        else:
            self._exchange.publish(
                None, Publish(will.topic, will.payload, will.qos, will.retain, properties=will.properties)
            )


class _Nobody:
    """A sender that is gone."""

    def stored(self, token: int) -> None: ...
    def not_stored(self, token: int, error: Exception) -> None: ...
    def room_again(self) -> None: ...


_NOBODY = _Nobody()
