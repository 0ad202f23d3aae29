"""One MQTT connection's I/O: bytes in, bytes out, every timer and every limit. What the packets mean is `conversation`.

The same class serves TLS sockets and WebSockets: it asks of its transport only what `Link` names. Whatever goes wrong
here ends this connection and no other. There is no task and no timer per message, nor per connection (`deadlines`), and
what it sends in one tick of the loop goes out in one write.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cryptography import x509

from leafward.errors import InputError, LeafwardError
from leafward.hub.conversation import Conversation
from leafward.hub.deadlines import Deadlines
from leafward.hub.gate import with_port
from leafward.hub.goodbye import farewell
from leafward.hub.hub import Hub
from leafward.hub.link import Hold, Link, presented_by
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.opening import check_opening
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5
from leafward.wire.mqtt.reasons import Reason, reason_of

logger = logging.getLogger(__name__)

# MQTT 3.1.1, 3.1.2.10: a client that is silent for one and a half keep-alive periods is gone.
KEEP_ALIVE_GRACE = 1.5


class Owner(Protocol):
    """What keeps all connections; the docstrings are at `Connections`."""

    @property
    def deadlines(self) -> Deadlines: ...
    def opened(self, connection: "MqttConnection") -> None: ...
    def closed(self, connection: "MqttConnection") -> None: ...
    def flush_soon(self, connection: "MqttConnection") -> None: ...
    def flush_now(self, now: float) -> None: ...


class MqttConnection(asyncio.Protocol):
    """A connection from its handshake to its end. Made and kept by `Connections`."""

    __slots__ = (
        "_conversation",
        "_decoder",
        "_ended",
        "_holds",
        "_hub",
        "_keep_alive",
        "_last_packet",
        "_limits",
        "_link",
        "_loop",
        "_lost",
        "_moment",
        "_out",
        "_out_size",
        "_owner",
        "_part_since",
        "_paused_since",
        "_refused",
        "_until",
        "address",
    )

    def __init__(self, hub: Hub, owner: Owner, lost: Callable[[], None] | None = None) -> None:
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._hub = hub
        self._limits = hub.limits
        self._owner = owner
        self._decoder = Decoder(self._limits.packet_size)
        self._conversation = Conversation(hub, self)
        self._link: Link | None = None
        self._out: list[bytes] = []
        self._out_size = 0
        self._holds = Hold(0)
        self._ended = False
        self._refused = False
        # When `deadlines` wake us, 0 for never.
        self._moment = 0
        self._keep_alive: float | None = None
        self._until: float | None = None
        self._last_packet = self._loop.time()
        self._part_since: float | None = None
        self._paused_since: float | None = None
        self.address = "?"

    # -- events of the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The handshake is done. The clock for CONNECT starts."""
        self._link = transport
        peer = transport.get_extra_info("peername")
        self.address = with_port(peer) if isinstance(peer, tuple) else str(peer or "?")
        transport.set_write_buffer_limits(high=min(65_536, self._limits.write_bytes))
        self._owner.opened(self)
        self._last_packet = self._loop.time()
        self._wake_by(self._last_packet + self._limits.connect_timeout)

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer. No exception leaves here: it would be the loop's, not this connection's."""
        if self._ended or self._refused:
            return
        try:
            packets = self._decoder.feed(data)
            now = self._loop.time()
            if packets:
                self._last_packet, self._part_since = now, None
            else:
                self._wait_for_the_rest(now)
            receive = self._conversation.receive
            for packet in packets:
                if self.ended:
                    return
                receive(packet)
            if len(packets) == 1:
                self._owner.flush_now(now)
        except InputError as error:
            self._end("protocol-error", str(error), abort=True, reason=reason_of(error))
        except LeafwardError as error:
            self.end("failed", str(error), abort=True)
        except Exception:
            logger.exception("a fault of ours ends the connection from %s", self.address)
            self.end("internal-error", "see the traceback above", abort=True)

    def _wait_for_the_rest(self, now: float) -> None:
        """A packet is not complete. What can be no CONNECT is not waited for: raises `ProtocolError`."""
        if self._part_since is None:
            self._part_since = now
            self._watch()
        if not self._conversation.begun:
            check_opening(self._decoder.beginning)

    def eof_received(self) -> bool | None:
        """The peer has closed its half; TLS knows no half-open connection of ours."""
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport is closed, by whomever."""
        try:
            self.end("peer-closed" if exc is None else "connection-lost", None if exc is None else str(exc), abort=True)
        finally:
            self._owner.closed(self)
            self._link = None
            if self._lost is not None:
                self._lost()

    def pause_writing(self) -> None:
        """The peer reads slower than we write: it gets nothing new and is not read from, for a while."""
        self._paused_since = self._loop.time()
        self.hold(Hold.OUTPUT_FULL)
        self._watch()

    def resume_writing(self) -> None:
        """The peer has read."""
        self._paused_since = None
        self.release(Hold.OUTPUT_FULL)
        # After the release: writing may fill the transport, and hold us, again.
        self.flush()
        if not self._ended:
            self._conversation.writable_again()

    # -- what the conversation may do --------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Nothing more is read from or sent to this connection, but perhaps the answer to a refused CONNECT."""
        return self._ended or self._refused

    @property
    def writable(self) -> bool:
        """The peer keeps up with what we send."""
        return not self._ended and self._paused_since is None

    @property
    def transport_name(self) -> str:
        """ "tls" or "websocket", for people."""
        over_websocket = self._link is not None and self._link.get_extra_info("websocket")
        return "websocket" if over_websocket else "tls"

    @property
    def roomy(self) -> bool:
        """The peer does not keep up just now, and not half of what may wait for it does: a burst is no slow reader."""
        return not self._ended and self._out_size * 2 < self._limits.write_bytes

    def presented(self) -> Sequence[x509.Certificate]:
        """The client certificates of the handshake, leaf first; empty when there are none."""
        return presented_by(self._link)

    def established(self, keep_alive: int, lifetime: float) -> None:
        """CONNECT was accepted: from now on the client's keep-alive counts (seconds; 0 is the longest we allow).

        `lifetime` is how many seconds from now the credential lasts.
        """
        longest = self._limits.keep_alive
        self._keep_alive = min(keep_alive or longest, longest) * KEEP_ALIVE_GRACE
        self._until = self._last_packet + lifetime
        self._wake_by(min(self._last_packet + self._keep_alive, self._until))

    def refuse(self, answer: bytes, code: str, seconds: float) -> None:
        """The answer to a CONNECT that is refused, and the end, after so many seconds; until then nothing is read."""
        if seconds <= 0.0:
            self.send(answer)
            self.end(code)
            return
        self._refused = True
        self.hold(Hold.REFUSED)
        self._hub.metrics.refusals_waiting += 1
        self._loop.call_later(seconds, self._refuse_now, answer, code)

    def _refuse_now(self, answer: bytes, code: str) -> None:
        self._hub.metrics.refusals_waiting -= 1
        self.send(answer)
        self.end(code)

    def send(self, data: bytes) -> None:
        """Queues bytes for this tick's write. A peer that lets too much pile up is dropped."""
        if self._ended:
            return
        if not self._out:
            self._owner.flush_soon(self)
        self._out.append(data)
        self._out_size += len(data)
        if self._paused_since is not None and self._out_size > self._limits.write_bytes:
            self.end("slow-reader", f"{self._out_size} bytes wait for it", abort=True)

    def flush(self) -> None:
        """Hands what is queued to the transport, unless that has had enough."""
        if self._out and self._link is not None and self._paused_since is None:
            out, self._out, self._out_size = self._out, [], 0
            self._link.write(out[0] if len(out) == 1 else b"".join(out))

    def hold(self, why: Hold) -> None:
        """Stops reading from the peer until every reason is released."""
        if not self._holds and self._link is not None and not self._ended:
            self._link.pause_reading()
        self._holds |= why

    def release(self, why: Hold) -> None:
        """One reason not to read is gone."""
        if not self._holds & why:
            return
        self._holds &= ~why
        if not self._holds and self._link is not None and not self._ended:
            self._last_packet = self._loop.time()
            self._link.resume_reading()

    def end(self, code: str, why: str | None = None, *, abort: bool = False, graceful: bool = False) -> None:
        """Ends the connection once; later calls do nothing.

        `abort` throws away what is not sent yet; otherwise it is sent first. `graceful`: the client said goodbye, so
        its will is not published.
        """
        self._end(code, why, abort=abort, graceful=graceful)

    def _end(
        self,
        code: str,
        why: str | None = None,
        *,
        abort: bool = False,
        graceful: bool = False,
        reason: Reason | None = None,
    ) -> None:
        """`reason`: of a broken protocol, to be told to a client of MQTT 5."""
        if self._ended:
            return
        if not abort:
            self.flush()
        self._ended = True
        self._out.clear()
        told = not graceful and self._say_goodbye(code, why, reason)
        self._owner.deadlines.forget(self, self._moment)
        if not graceful:
            self._hub.metrics.ended[code] += 1
            self._hub.endings.tell("MQTT", self.address, code, why)
        self._conversation.over(graceful=graceful)
        if self._link is not None:
            (self._link.abort if abort and not told else self._link.close)()

    def _say_goodbye(self, code: str, why: str | None, reason: Reason | None) -> bool:
        """Tells a client of MQTT 5 why; what else waits to be sent is lost. Whether anything was said."""
        conversation = self._conversation
        if conversation.level != PROTOCOL_LEVEL_5 or self._link is None or self._paused_since is not None:
            return False
        data = farewell(code, reason=reason, why=why, room=conversation.packet_room)
        if data:
            self._link.write(data)
        return bool(data)

    def cut(self) -> None:
        """Closes the transport now, whatever it still has to send."""
        self.end("cut", abort=True)
        if self._link is not None:
            self._link.abort()

    # -- what is due -------------------------------------------------------------------------------------------------

    def _deadlines(self) -> list[tuple[float, str]]:
        """When this connection must end, and with which code, if nothing happens before."""
        limits, silent_since = self._limits, self._last_packet
        found: list[tuple[float, str]] = []
        if self._keep_alive is None:
            found.append((silent_since + limits.connect_timeout, "connect-timeout"))
        elif not self._holds:
            # While we do not read, silence is ours and not the peer's.
            found.append((silent_since + self._keep_alive, "keep-alive-timeout"))
        if self._part_since is not None and not self._holds:
            found.append((self._part_since + limits.packet_timeout, "packet-timeout"))
        if self._paused_since is not None:
            found.append((self._paused_since + limits.stall_timeout, "slow-reader"))
        if self._until is not None:
            found.append((self._until, "credential-expired"))
        return found

    def _watch(self) -> None:
        """Has itself woken for the next deadline; that is not moved at each packet but looked at when it comes."""
        if self._ended:
            return
        times = [at for at, _code in self._deadlines()]
        if self._holds:
            # The peer's silence counts again when the hold is released: look each second.
            times.append(self._loop.time() + 1.0)
        self._wake_by(min(times))

    def _wake_by(self, at: float) -> None:
        self._moment = self._owner.deadlines.wake(self, at, self._moment)

    def due(self) -> None:
        """A deadline may be over, or has moved."""
        now, self._moment = self._loop.time(), 0
        for at, code in self._deadlines():
            if at <= now:
                self.end(code, abort=True)
                return
        self._watch()
