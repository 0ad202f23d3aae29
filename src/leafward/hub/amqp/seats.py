"""A device or module that is here by AMQP: to the broker a client as any other, with a session that ends with it.

The hub's parts speak MQTT's topics to a session: twins, direct methods, inputs. A seat takes these apart again and
gives each to the room it is for. What comes in the other way does not pass here.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from leafward.hub.amqp.links import STOLEN, UNAUTHORIZED, Room
from leafward.hub.amqp.parts import AmqpParts, Host
from leafward.hub.delivery import Terms
from leafward.hub.peer import Peer
from leafward.hub.sessions import Session
from leafward.hub.subscription import Subscription
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.packets import Publish

logger = logging.getLogger(__name__)

# Larger than anything that the hub's parts send a client, its topic among it.
_LARGEST = 1_048_576


Channel = TypeVar("Channel")


class Listener(Protocol):
    """A room that is told what the hub publishes to its device."""

    def published(self, packet: Publish) -> bool:
        """Takes a packet; False for one that is not for it."""


class Seat:
    """One of them. It is the `Receiver` of its session and, to the broker, its connection. `left` is told the end."""

    def __init__(self, parts: AmqpParts, host: Host, peer: Peer, left: Callable[[], None]) -> None:
        self._parts = parts
        self._host = host
        self._left = left
        self._decoder = Decoder(_LARGEST)
        self._over = False
        self._rooms: list[Room] = []
        self._listeners: list[Listener] = []
        self._channels: dict[type, Any] = {}
        hub = parts.hub
        self.session: Session = hub.broker.enter(peer, self, clean=True, expiry=0)[0]
        hub.metrics.accepted += 1
        hub.refusals.admitted(peer.client_id, address=host.address, at=hub.clock())
        self.session.attach(self, peer, Terms(hub.clock, window=hub.limits.inflight))
        for told in hub.broker.arrived:
            told(self.session)

    # -- to the broker and the session -------------------------------------------------------------------------------

    transport_name = "tls"
    protocol_name = "AMQP 1.0"

    @property
    def address(self) -> str:
        """Of the connection."""
        return self._host.address

    @property
    def writable(self) -> bool:
        """The peer keeps up."""
        return not self._over and self._host.writable

    @property
    def roomy(self) -> bool:
        """The peer does not keep up just now, and not much waits for it."""
        return not self._over and self._host.roomy

    def send(self, data: bytes) -> None:
        """What the hub publishes to this client, as MQTT writes it."""
        self._host.guarded(lambda: self._send(data))

    def _send(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if isinstance(packet, Publish) and not any(one.published(packet) for one in list(self._listeners)):
                logger.debug("no link of %s takes %s", self.session.client_id, packet.topic)

    def end(self, code: str, why: str | None = None, *, abort: bool = False, graceful: bool = False) -> None:
        """The broker has done with it: taken over by another connection, no longer admitted, ended by the operator."""
        if self._over:
            return
        self._parts.hub.metrics.ended[code] += 1
        logger.info("%s at %s ends: %s%s", self.session.client_id, self.address, code, f" ({why})" if why else "")
        condition = STOLEN if code == "taken-over" else UNAUTHORIZED
        try:
            for room in list(self._rooms):
                room.link.close(condition, code)
                room.link.over(room)
        except Exception:  # the broker's other clients are not to suffer for it
            logger.exception("a fault of ours: a link of %s does not end", self.session.client_id)
        self.leave()
        self._host.claims_changed()

    # -- to the connection -------------------------------------------------------------------------------------------

    @property
    def peer(self) -> Peer:
        """Who it is, by the credential of now."""
        return self.session.peer

    @property
    def until(self) -> datetime:
        """When that ends (UTC)."""
        return self.session.peer.until

    def renewed(self, peer: Peer) -> None:
        """Another credential of the same registration. Another registration begins anew."""
        if self.session.belongs_to(peer):
            self.session.peer = peer
        else:
            self.end("no-longer-admitted", "registered anew")

    def leave(self) -> None:
        """It is gone."""
        if not self._over:
            self._over = True
            self._parts.hub.broker.leave(self.session, self)
            self._left()

    # -- to the rooms ------------------------------------------------------------------------------------------------

    def enter(self, room: Room, listener: Listener | None = None) -> None:
        """A link of it is open."""
        self._rooms.append(room)
        if listener is not None:
            self._listeners.append(listener)

    def out(self, room: Room, listener: Listener | None = None) -> None:
        """A link of it is closed. Without links it stays: the next may come at once."""
        if room in self._rooms:
            self._rooms.remove(room)
        if listener in self._listeners:
            self._listeners.remove(listener)

    def subscribe(self, topic_filter: str, *, qos: int = 0) -> bool:
        """Has the hub send what is published there. False for too much."""
        broker = self._parts.hub.broker
        if not broker.subscribe(self.session, topic_filter, Subscription(qos), plain=False):
            return False
        self.session.pump()
        for told in broker.subscribed:
            told(self.session, topic_filter)
        return True

    def unsubscribe(self, topic_filter: str) -> None:
        """Enough of it."""
        if not self._over:
            self._parts.hub.broker.unsubscribe(self.session, topic_filter)

    def acknowledged(self, packet_id: int) -> None:
        """The client has a message that was published at QoS 1."""
        if not self._over and self.session.acknowledged(packet_id):
            self._parts.hub.metrics.messages_out += 1

    def channel(self, kind: type[Channel], make: Callable[[], Channel]) -> Channel:
        """What the two links of one place have in common: made with the first of them."""
        found: Channel = self._channels.setdefault(kind, None) or make()
        self._channels[kind] = found
        return found

    @property
    def over(self) -> bool:
        """Whether it is gone."""
        return self._over
