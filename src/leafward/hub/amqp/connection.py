"""One AMQP connection's I/O: bytes in, bytes out, every timer and limit. What is meant by them is the engine's.

    TLS -> header, SASL (`wire.amqp_sasl`) -> engine

Whatever goes wrong here ends this connection and no other. A peer that has proved nothing has `connect_timeout` for it,
counted from the handshake, whatever it sends meanwhile. Without SASL, or with ANONYMOUS, it may open `$cbs` and nothing
else; with a client certificate, its own links.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cryptography import x509

from leafward.errors import InputError, LeafwardError
from leafward.hub.amqp.attachments import Attachments
from leafward.hub.amqp.claims import Claims
from leafward.hub.amqp.engine import Engine
from leafward.hub.amqp.links import FORCED, UNAUTHORIZED
from leafward.hub.amqp.parts import AmqpParts
from leafward.hub.gate import with_port
from leafward.hub.link import Hold, Link, presented_by
from leafward.hub.refusals import Refusal
from leafward.wire.amqp_sasl import (
    AMQP_HEADER,
    ANONYMOUS,
    CBS,
    EXTERNAL,
    PLAIN,
    SASL_HEADER,
    Header,
    Opening,
    Outcome,
    SaslInit,
    mechanisms_frame,
    outcome_frame,
    plain_login,
)

logger = logging.getLogger(__name__)

# A peer that reads nothing for a while: bytes of ours that wait, from which on nothing more is made for it.
_HIGH_WATER = 65_536
# Looked at least so often: what is due may have changed.
_LOOK_SECONDS = 15.0
_UNAUTHORIZED_CODES = frozenset({"credential-expired", "no-longer-admitted", "login-refused", "connect-timeout"})


class Owner(Protocol):
    """What keeps all connections; the docstrings are at `AmqpConnections`."""

    def opened(self, connection: "AmqpConnection") -> None: ...
    def closed(self, connection: "AmqpConnection") -> None: ...
    def flush_soon(self, connection: "AmqpConnection") -> None: ...


class AmqpConnection(asyncio.Protocol):
    """A connection from its handshake to its end. Made and kept by `AmqpConnections`."""

    def __init__(self, parts: AmqpParts, owner: Owner, lost: Callable[[], None] | None = None) -> None:
        self._lost = lost
        self._parts = parts
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._limits = parts.hub.limits
        self._opening: Opening | None = Opening()
        self._engine: Engine | None = None
        self._claims = Claims(parts, self)
        self._link: Link | None = None
        self._holds = Hold(0)
        self._ended = False
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._began = self._loop.time()
        self._proved = False
        self._paused_since: float | None = None
        self.address = "?"

    # -- events of the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The handshake is done. The clock for a proof starts."""
        self._link = transport
        peer = transport.get_extra_info("peername")
        self.address = with_port(peer) if isinstance(peer, tuple) else str(peer or "?")
        transport.set_write_buffer_limits(high=min(_HIGH_WATER, self._limits.write_bytes))
        self._began = self._loop.time()
        self._owner.opened(self)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer. No exception leaves here: it would be the loop's, not this connection's."""
        if self._ended:
            return
        self.guarded(lambda: self._open(data) if self._engine is None else self._receive(data))

    def guarded(self, work: Callable[[], None]) -> None:
        """Does something for this connection; what goes wrong with it ends this connection and no other."""
        try:
            work()
        except InputError as error:
            self.end("protocol-error", str(error), abort=True)
        except LeafwardError as error:
            self.end("failed", str(error), abort=True)
        except Exception:
            logger.exception("a fault of ours ends the AMQP connection from %s", self.address)
            self.end("internal-error", "see the traceback above", abort=True)

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
        """The peer reads slower than we write: it is not read from, and nothing more is made for it."""
        self._paused_since = self._loop.time()
        self.hold(Hold.OUTPUT_FULL)
        self._watch()

    def resume_writing(self) -> None:
        """The peer has read."""
        self._paused_since = None
        self.release(Hold.OUTPUT_FULL)
        self.guarded(self.flush)

    # -- what rooms and claims may do (`Host`) -----------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Nothing more is read from or sent to this connection."""
        return self._ended

    @property
    def writable(self) -> bool:
        """The peer keeps up."""
        return not self._ended and self._paused_since is None

    @property
    def roomy(self) -> bool:
        """The engine takes more: its own bound is the credit of each link."""
        return not self._ended

    def presented(self) -> Sequence[x509.Certificate]:
        """The client certificates of the handshake, leaf first; empty when there are none."""
        return presented_by(self._link)

    def refusal(self, refusal: Refusal, claimed: str) -> float:
        """Keeps why somebody was refused; how many seconds the answer must wait. Until then nothing is read."""
        hub = self._parts.hub
        wait = hub.refusals.record(refusal, claimed=claimed, address=self.address, at=hub.clock())
        if wait > 0 and not self._holds & Hold.REFUSED:
            self.hold(Hold.REFUSED)
            hub.metrics.refusals_waiting += 1
            self._loop.call_later(wait, self._waited)
        return wait

    def claims_changed(self) -> None:
        """Somebody has proved something, or what was proved is over."""
        if self._ended:
            return
        if self._claims:
            self._proved = True
        elif self._proved:
            self.end("no-longer-admitted", "nobody who was let in is left")
            return
        self._watch()

    def later(self, seconds: float, call: Callable[[], None]) -> object:
        """Calls back, unless the connection has ended by then."""
        return self._loop.call_later(seconds, self._call, call)

    def end(self, code: str, why: str | None = None, *, abort: bool = False) -> None:
        """Ends the connection once; later calls do nothing. `abort` throws away what is not sent yet."""
        if self._ended:
            return
        link = self._link
        if not abort and self._engine is not None and link is not None:
            self._engine.close(UNAUTHORIZED if code in _UNAUTHORIZED_CODES else FORCED, code)
            link.write(self._engine.output())
        self._finish(code, why)
        if link is not None:
            (link.abort if abort else link.close)()

    # -- to the owner ------------------------------------------------------------------------------------------------

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
            self._link.resume_reading()

    def flush_soon(self) -> None:
        """Something is to be written, at the end of this tick."""
        if not self._flushing and not self._ended:
            self._flushing = True
            self._owner.flush_soon(self)

    def flush(self) -> None:
        """Hands what the engine has to the transport, unless that has had enough."""
        self._flushing = False
        engine = self._engine
        if engine is None or self._link is None or self._ended or self._paused_since is not None:
            return
        data = engine.output()
        if data:
            self._link.write(data)
        if engine.finished and not self._ended:
            fault = engine.fault
            self._finish("disconnected" if fault is None else "protocol-error", fault)
            self._link.close()

    def look(self) -> None:
        """Policies have changed, or time has passed: is who is here still to be here?"""
        if not self._ended and self._proved:
            self._claims.look(self._parts.hub.clock())

    def cut(self) -> None:
        """Closes the transport now, whatever it still has to send."""
        self.end("cut", abort=True)
        if self._link is not None:
            self._link.abort()

    # -- the opening -------------------------------------------------------------------------------------------------

    def _open(self, data: bytes) -> None:
        opening = self._opening
        assert opening is not None
        opening.feed(data)
        while self._opening is not None and not self._ended and not self._holds & Hold.REFUSED:
            step = opening.next()
            if step is None:
                return
            if isinstance(step, SaslInit):
                self._log_in(step)
            elif step is Header.SASL:
                self._write(SASL_HEADER + mechanisms_frame(self._mechanisms()))
            else:
                self._begin(opening.rest)

    def _mechanisms(self) -> list[str]:
        """Anonymous is for `$cbs`. EXTERNAL is offered only to who has shown a certificate."""
        return [CBS, PLAIN, ANONYMOUS, *([EXTERNAL] if self.presented() else [])]

    def _log_in(self, login: SaslInit) -> None:
        assert self._opening is not None
        wait: float | None = None
        if login.mechanism == PLAIN:
            wait = self._claims.plain(*plain_login(login.response))
        elif login.mechanism not in self._mechanisms():
            wait = self.refusal(Refusal("authentication-method", login.mechanism[:64]), "?")
        if wait is None:
            self._write(outcome_frame(Outcome.OK))
            self._opening.logged_in()
        elif wait > 0:
            self.later(wait, self._refuse_login)
        else:
            self._refuse_login()

    def _refuse_login(self) -> None:
        self._write(outcome_frame(Outcome.AUTH))
        self.end("login-refused")

    def _begin(self, rest: bytes) -> None:
        """AMQP itself. The header that was read here is the engine's to read."""
        attachments = Attachments(self._parts, self, self._claims)
        self._opening = None
        self._engine = Engine(
            self._parts.terms,
            attachments.open,
            host=self._parts.host,
            message_size=self._limits.packet_size,
            flush=self.flush_soon,
            opened=self._watch,
            later=self.later,
        )
        self._receive(AMQP_HEADER + rest)
        self._watch()

    def _receive(self, data: bytes) -> None:
        assert self._engine is not None
        self._engine.receive(data)
        self.flush_soon()

    def _write(self, data: bytes) -> None:
        if self._link is not None and not self._ended:
            self._link.write(data)

    # -- the end and the one timer -----------------------------------------------------------------------------------

    def _waited(self) -> None:
        self._parts.hub.metrics.refusals_waiting -= 1
        self.release(Hold.REFUSED)

    def _call(self, call: Callable[[], None]) -> None:
        if not self._ended:
            self.guarded(call)
            self.flush_soon()

    def _finish(self, code: str, why: str | None) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._parts.hub.metrics.ended[code] += 1
        self._parts.hub.endings.tell("AMQP", self.address, code, why)
        self._claims.over()
        if self._engine is not None:
            self._engine.free()

    def _deadlines(self) -> list[tuple[float, str]]:
        """When this connection must end, and with which code, if nothing happens before."""
        found: list[tuple[float, str]] = []
        if not self._proved:
            found.append((self._began + self._limits.connect_timeout, "connect-timeout"))
        if self._paused_since is not None:
            found.append((self._paused_since + self._limits.stall_timeout, "slow-reader"))
        return found

    def _watch(self) -> None:
        """Sets the timer for what is due next."""
        if self._ended:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = self._loop.time()
        times = [now + _LOOK_SECONDS, *(at for at, _ in self._deadlines())]
        if self._engine is not None and (due := self._engine.tick(now)) > 0:
            times.append(due)
        if (ends := self._claims.ends()) is not None:
            times.append(now + max(0.0, (ends - self._parts.hub.clock()).total_seconds()) + 0.01)
        self._timer = self._loop.call_at(min(times), self._due)

    def _due(self) -> None:
        now = self._loop.time()
        for at, code in self._deadlines():
            if at <= now:
                self.end(code, abort=code == "slow-reader")
                return
        self.guarded(self.look)
        if not self._ended:
            self.guarded(self._watch)
            self.flush_soon()
