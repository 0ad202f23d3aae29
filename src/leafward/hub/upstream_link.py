"""One connection upstream: CONNECT, PUBLISH at QoS 1 in a window, their acknowledgements, PING. It keeps nothing.

Our own codec and no client library: a message costs two dictionary operations and no task, future or queue, and what
was sent, in which order and not acknowledged is in one place. All in the loop's thread.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

from leafward.errors import LeafwardError, PeerUnavailable, ProtocolError
from leafward.hub.upstream_terms import OLD_SERVER, LinkTerms, Welcome, named, refusal, welcome_of
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    MAX_PACKET_ID,
    PROTOCOL_LEVEL_5,
    Connack,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
)

# 0x80 and above are failures (MQTT 5, 2.4).
FAILURE = 0x80
# What a peer may send us: acknowledgements.
_LARGEST_PACKET = 65_536
# Bytes waiting for the peer: beyond it nothing more is written until a part of them is gone.
_WRITE_BYTES = 262_144


class Receiver(Protocol):
    """Who sends by a link: told what became of its messages, by their numbers."""

    def acknowledged(self, number: int) -> None: ...
    def refused(self, number: int, reason: int, why: str) -> None: ...
    def room_again(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a connection ended: `error` is None for our own goodbye. `by_server`: it did it, or it let us wait."""

    error: LeafwardError | None
    by_server: bool


class UpstreamLink(asyncio.Protocol):
    """Made for one connection. `opened` is done when the server has said yes; `ended` when the connection is over.

    The messages in flight are numbered by whoever sends them; `in_flight` has their numbers in the order they went out.
    """

    def __init__(self, terms: LinkTerms, receiver: Receiver) -> None:
        self._terms = terms
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(_LARGEST_PACKET, terms.level)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        # Seconds of the loop's clock: when the server was last heard of, since when it owes an answer to a PING, and
        # since when it owes the next acknowledgement.
        self._heard = 0.0
        self._pinged: float | None = None
        self._unanswered = 0.0
        self._next_id = 0
        self._writable = True
        self._sent: dict[int, int] = {}
        self._welcome = Welcome()
        self._cause: Ended | None = None
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[Ended] = self._loop.create_future()

    @property
    def in_flight(self) -> list[int]:
        """The numbers of the messages that are not acknowledged, in the order they were sent."""
        return list(self._sent.values())

    @property
    def is_up(self) -> bool:
        """Whether what is sent now may arrive. A connection is lost a moment before that is told."""
        return self._cause is None and self._transport is not None and not self._transport.is_closing()

    @property
    def room(self) -> int:
        """How many messages more may be sent now."""
        if not self._writable or not self.opened.done() or not self.is_up:
            return 0
        return min(self._terms.window, self._welcome.receive_maximum) - len(self._sent)

    def next_packet_id(self) -> int:
        """A packet id that is free; the window is smaller than their number."""
        while True:
            self._next_id = self._next_id % MAX_PACKET_ID + 1
            if self._next_id not in self._sent:
                return self._next_id

    def send(self, number: int, packet_id: int, data: bytes) -> None:
        """Sends an encoded PUBLISH. Raises `ProtocolError` for one that is larger than the server takes."""
        if len(data) > self._welcome.largest_packet:
            why = f"it has {len(data)} bytes, the server takes {self._welcome.largest_packet}"
            raise ProtocolError("the message is too large for upstream", why=why)
        assert self._transport is not None
        if not self._sent:
            self._unanswered = self._loop.time()
        self._sent[packet_id] = number
        self._transport.write(data)

    def end(self, error: LeafwardError | None, *, by_server: bool = False) -> None:
        """Ends the connection at once. `error` is why; None for a goodbye, which is said."""
        if self._cause is None:
            self._cause = Ended(error, by_server)
        if self._transport is None:
            return
        if error is None and not self._transport.is_closing():
            self._transport.write(encode(Disconnect(), self._terms.level))
            self._transport.close()
        else:
            self._transport.abort()

    # -- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP and TLS stand."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's are none of that class
        transport.set_write_buffer_limits(high=_WRITE_BYTES)
        self._heard = self._loop.time()
        transport.write(encode(self._terms.connect, self._terms.level))

    def data_received(self, data: bytes) -> None:
        """Whatever the server says."""
        self._heard, self._pinged = self._loop.time(), None
        try:
            for packet in self._decoder.feed(data):
                self._take(packet)
        except LeafwardError as error:
            hint = OLD_SERVER if self._terms.level == PROTOCOL_LEVEL_5 and not self.opened.done() else None
            self.end(PeerUnavailable("upstream is not understood", why=str(error), hint=hint))
            return
        if self.room > 0:
            self._receiver.room_again()

    def pause_writing(self) -> None:
        """The server does not keep up."""
        self._writable = False

    def resume_writing(self) -> None:
        """It does again."""
        self._writable = True
        if self.room > 0:
            self._receiver.room_again()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over, whoever ended it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._cause is None:
            why = str(error) if error is not None and str(error) else "the server has closed it"
            self._cause = Ended(PeerUnavailable("the connection upstream has ended", why=why), by_server=True)
        if not self.opened.done():
            self.opened.set_exception(self._cause.error or PeerUnavailable("the connection upstream was given up"))
            self.opened.exception()  # nobody may wait for it any more
        if not self.ended.done():
            self.ended.set_result(self._cause)

    # -- packets -----------------------------------------------------------------------------------------------------

    def _take(self, packet: Packet) -> None:
        if type(packet) is Puback:
            self._answered(packet)
        elif isinstance(packet, Connack):
            self._welcomed(packet)
        elif isinstance(packet, Disconnect) and self._terms.level == PROTOCOL_LEVEL_5:
            text = None if packet.properties is None else packet.properties.reason_string
            error = PeerUnavailable("upstream has ended the connection", why=named(packet.reason, text))
            self.end(error, by_server=True)
        elif not isinstance(packet, Pingresp):
            self.end(PeerUnavailable("upstream says what we did not ask", why=f"got {type(packet).__name__}"))

    def _answered(self, packet: Puback) -> None:
        number = self._sent.pop(packet.packet_id, None)
        if number is None:
            return
        self._unanswered = self._heard
        if packet.reason < FAILURE:
            self._receiver.acknowledged(number)
        else:
            text = None if packet.properties is None else packet.properties.reason_string
            self._receiver.refused(number, packet.reason, named(packet.reason, text))

    def _welcomed(self, packet: Connack) -> None:
        if self.opened.done():
            self.end(PeerUnavailable("upstream says what we did not ask", why="got a second CONNACK"))
        elif packet.return_code:
            self.end(refusal(packet, self._terms.level))
        else:
            self._welcome = welcome_of(packet)
            self.opened.set_result(None)
            self._watch()

    def _watch(self) -> None:
        """Pings a silent server, and gives up one that does not answer: a cut cable says nothing."""
        now, keep_alive = self._loop.time(), self._welcome.keep_alive or self._terms.keep_alive
        if self._pinged is not None and now - self._pinged >= keep_alive:
            self.end(PeerUnavailable("upstream does not answer", why=f"silent for {now - self._heard:.0f} s"))
        elif self._sent and now - self._unanswered >= self._terms.acknowledge_timeout:
            why = f"{len(self._sent)} messages, for {self._terms.acknowledge_timeout:g} s"
            self.end(PeerUnavailable("upstream does not acknowledge", why=why), by_server=True)
        else:
            # What it hears of us keeps it content as well: it is silent when we are.
            if self._pinged is None and now - self._heard >= keep_alive * 0.75:
                self._pinged = now
                assert self._transport is not None
                self._transport.write(encode(Pingreq(), self._terms.level))
            pause = min(keep_alive, self._terms.acknowledge_timeout) / 4
            self._timer = self._loop.call_later(pause, self._watch)
