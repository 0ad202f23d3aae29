"""What MQTT packets mean to the hub: one conversation a connection, from CONNECT to its end.

No bytes, sockets or timers here: packets come in by `receive`, answers go out through the connection. CONNECT is judged
by `greeting`, what the client publishes goes to `incoming`, what it wants to get to `subscribing`. MQTT 3.1.1 and 5 are
one conversation: the second has more to say in its answers.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from leafward.errors import ProtocolError
from leafward.hub.greeting import Admitted, Rejected, judge
from leafward.hub.guest import Guest
from leafward.hub.hub import Hub
from leafward.hub.incoming import Incoming
from leafward.hub.link import Connection
from leafward.hub.peer import Peer
from leafward.hub.sessions import Session
from leafward.hub.subscribing import Subscribing
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
)
from leafward.wire.mqtt.reasons import MqttFault, Reason

_PINGRESP = encode(Pingresp())


class Conversation:
    """One client's conversation."""

    __slots__ = (
        "_connection",
        "_guest",
        "_hub",
        "_incoming",
        "_session",
        "_subscribing",
        "_will",
        "_will_delay",
        "level",
    )

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._connection = connection
        self._guest: Guest | None = None
        self._incoming: Incoming | None = None
        self._session: Session | None = None
        self._subscribing: Subscribing | None = None
        self._will: Will | None = None
        self._will_delay = 0
        self.level = 0

    @property
    def peer(self) -> Peer | None:
        """Who is connected; None before CONNECT is accepted."""
        return None if self._session is None else self._session.peer

    @property
    def begun(self) -> bool:
        """A CONNECT has come and was let in; over which door does not matter."""
        return self._incoming is not None or self._guest is not None

    @property
    def packet_room(self) -> int | None:
        """Bytes of the largest packet the client takes, None for any."""
        return None if self._session is None or self._session.terms is None else self._session.terms.packet_size

    def receive(self, packet: Packet) -> None:
        """One packet from the client. Raises `ProtocolError` for one that may not come now (3.1.0-1, 3.1.0-2)."""
        if self._incoming is None:
            if self._guest is not None:
                self._guest.receive(packet)
                return
            if not isinstance(packet, Connect):
                raise ProtocolError("the first packet is no CONNECT", why=f"got {type(packet).__name__}")
            self._connect(packet)
        elif type(packet) is Publish:
            self._incoming.publish(packet)
        else:
            handle = self._handlers.get(type(packet))
            if handle is None:
                why = f"got {type(packet).__name__}"
                raise MqttFault("a client does not send this now", why=why, reason=Reason.PROTOCOL_ERROR)
            handle(self, packet)

    def over(self, *, graceful: bool) -> None:
        """The connection has ended. Without a goodbye the will is published (3.1.2-8)."""
        if self._guest is not None:
            self._guest.over()
        if self._incoming is None or self._session is None:
            return
        self._incoming.over()
        session, will = self._session, self._will
        if will is not None and not graceful:
            # The will is published when the session ends, if that is before its delay (MQTT 5, 3.1.2.5).
            self._hub.wills.gone(session.peer, will, min(self._will_delay, session.expiry))
        self._hub.broker.leave(session, self._connection)

    def writable_again(self) -> None:
        """The client keeps up again."""
        if self._session is not None:
            self._session.pump()

    # -- CONNECT and the end -----------------------------------------------------------------------------------------

    def _connect(self, packet: Connect) -> None:
        for room in self._hub.guests:
            if room.takes(packet.username):
                self._guest = room.open(self._connection, packet)
                return
        judgement = judge(self._hub, self._connection, packet)
        if isinstance(judgement, Rejected):
            self._refuse(packet, judgement)
        else:
            self._welcome(packet, judgement)

    def _refuse(self, packet: Connect, rejected: Rejected) -> None:
        """One answer, whatever the reason; the reason stays here."""
        refusal, address = rejected.refusal, self._connection.address
        claimed = packet.client_id or packet.username or ""
        wait = self._hub.refusals.record(refusal, claimed=claimed, address=address, at=self._hub.clock())
        self._connection.refuse(encode(rejected.answer, rejected.level), refusal.code, wait)

    def _welcome(self, packet: Connect, admitted: Admitted) -> None:
        hub, peer, connection = self._hub, admitted.peer, self._connection
        now = hub.clock()
        session, present = hub.broker.enter(peer, connection, clean=admitted.clean, expiry=admitted.expiry)
        hub.wills.back(peer.client_id, continued=present)
        self._session, self._will, self.level = session, packet.will, admitted.terms.level
        if packet.will is not None and packet.will.properties is not None:
            self._will_delay = packet.will.properties.will_delay_interval or 0
        self._incoming = Incoming(hub, connection, session, admitted)
        self._subscribing = Subscribing(hub, connection, session, self._incoming, admitted)
        hub.metrics.accepted += 1
        hub.refusals.admitted(peer.client_id, address=connection.address, at=now)
        connection.established(admitted.keep_alive, (peer.until - now).total_seconds())
        admitted.answer.session_present = present
        connection.send(encode(admitted.answer, self.level))
        session.attach(connection, peer, admitted.terms)
        for told in hub.broker.arrived:
            told(session)

    def _disconnect(self, packet: Disconnect) -> None:
        assert self._session is not None
        expiry = None if packet.properties is None else packet.properties.session_expiry_interval
        if expiry is not None and expiry != self._session.expiry:
            if self._session.clean:
                why = "the session was to end with the connection"
                raise MqttFault("DISCONNECT has a session expiry", why=why, reason=Reason.PROTOCOL_ERROR)
            self._hub.broker.expire_in(self._session, expiry)
        will, self._will = self._will, None
        if will is not None and packet.reason != Reason.SUCCESS:  # 3.1.2-10
            self._hub.wills.gone(self._session.peer, will, min(self._will_delay, self._session.expiry))
        self._connection.end("disconnected", graceful=True)

    # -- the other packets -------------------------------------------------------------------------------------------

    def _puback(self, packet: Puback) -> None:
        assert self._session is not None
        if self._session.acknowledged(packet.packet_id):
            self._hub.metrics.messages_out += 1

    def _pubrec(self, packet: Pubrec) -> None:
        assert self._session is not None
        refused = packet.reason >= Reason.UNSPECIFIED_ERROR
        known = self._session.flow.received(packet.packet_id, refused=refused)
        self._hub.metrics.messages_out += known
        if known and refused:
            self._session.proceed()
            return
        reason = Reason.SUCCESS if known else Reason.PACKET_IDENTIFIER_NOT_FOUND
        self._connection.send(encode(Pubrel(packet.packet_id, reason), self.level))

    def _pubrel(self, packet: Pubrel) -> None:
        assert self._incoming is not None
        self._incoming.pubrel(packet)

    def _pubcomp(self, packet: Pubcomp) -> None:
        assert self._session is not None
        if self._session.flow.completed(packet.packet_id):
            self._session.proceed()

    def _subscribe(self, packet: Subscribe) -> None:
        assert self._subscribing is not None
        self._subscribing.subscribe(packet)

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        assert self._subscribing is not None
        self._subscribing.unsubscribe(packet)

    def _pingreq(self, _packet: Pingreq) -> None:
        self._connection.send(_PINGRESP)

    # What a client may send after CONNECT beside PUBLISH; everything else ends the connection.
    _handlers: ClassVar[Mapping[type, Callable[["Conversation", Any], None]]] = {
        Puback: _puback,
        Pubrec: _pubrec,
        Pubrel: _pubrel,
        Pubcomp: _pubcomp,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        Pingreq: _pingreq,
        Disconnect: _disconnect,
    }
