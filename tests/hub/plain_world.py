"""A hub without sockets, threads or an event loop, and clients that talk to its conversations packet by packet.

Everything is real but the connection (a list of what was sent), the store's thread (jobs wait for `turn`), who may come
in (everybody whom the registry would have), and the clock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from leafward.hub.broker import Broker
from leafward.hub.conversation import Conversation
from leafward.hub.goodbye import farewell
from leafward.hub.hub import Hub
from leafward.hub.link import Hold
from leafward.hub.metrics import HubMetrics
from leafward.hub.peer import Peer
from leafward.hub.plain_policy import PlainPolicy
from leafward.hub.plain_topics import PlainTopics
from leafward.hub.policy_settings import PolicyRule
from leafward.hub.refusals import Refusal, Refusals
from leafward.hub.requests import Requests
from leafward.hub.sessions import Session
from leafward.hub.settings import Limits
from leafward.hub.wills import Wills
from leafward.store.identity import Identity
from leafward.store.messages import Message
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionOptions,
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason, reason_of

NOW = datetime(2026, 7, 1, tzinfo=UTC)
EVERYTHING = (PolicyRule(who="*", publish=["#"], subscribe=["#"]),)


class Thread:
    """The store's thread, at the test's command."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any], object], Any]] = []
        self.grown: Callable[[set[str]], None] = lambda _endpoints: None
        self.failing: Exception | None = None
        self.stored: list[Message] = []

    def run(self, prepare: Callable[[], Any], work: Callable[[Any], object], done: Any = None) -> None:
        self.jobs.append((prepare, work, done))

    def turn(self) -> None:
        """Does all that was asked until now, and what that leads to."""
        while self.jobs:
            (prepare, work, done), self.jobs = self.jobs[0], self.jobs[1:]
            prepared, error = prepare(), self.failing
            if error is None:
                work(prepared)
            if done is not None:
                done(error)

    def read(self, endpoint: str, after: int, limit: int, done: Any) -> None:
        done([message for message in self.stored if (message.id or 0) > after][:limit])

    def acknowledge(self, endpoint: str, message_id: int) -> None:
        self.stored = [message for message in self.stored if message.id != message_id]


@dataclass
class Taken:
    """Telemetry as the intake got it."""

    peer: Peer
    body: bytes
    properties: dict[str, str]
    system: dict[str, str]
    output: str | None


@dataclass
class Intake:
    """Takes telemetry and has it durable at once."""

    taken: list[Taken] = field(default_factory=list)

    def take(
        self,
        peer: Peer,
        body: bytes,
        sender: Any,
        token: int,
        *,
        output: str | None,
        properties: dict[str, str],
        system: dict[str, str],
    ) -> bool:
        self.taken.append(Taken(peer, body, properties, system, output))
        sender.stored(token)
        return True

    def forget(self, sender: Any) -> None: ...


class Keeper:
    """The file of sessions, never failing."""

    def changed(self, session: Session, sessions: Iterable[Session]) -> None: ...

    def when_kept(self, done: Callable[[Exception | None], None]) -> None:
        done(None)


class Doorman:
    """Lets everybody in who gives a password, or whose name begins with "cert"."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def login(self, username: str | None, client_id: str, password: bytes | None, *_: Any) -> Peer | Refusal:
        return self.credential(client_id, None, None if password is None else password.decode(), *_)

    def credential(self, device_id: str, module_id: str | None, token: str | None, *_: Any) -> Peer | Refusal:
        if token is None and not device_id.startswith("cert"):
            return Refusal("credential-missing", "neither a token nor a client certificate")
        if token == "wrong":
            return Refusal("sas-signature-wrong", "wrong")
        return self._world.peer(device_id, module_id)


@dataclass
class Timer:
    """What `call_later` gives."""

    delay: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Wire:
    """A connection: what the hub sends is decoded at once."""

    def __init__(self, level: int) -> None:
        self.address = "192.0.2.7:50000"
        self.level = level
        self.decoder = Decoder(1 << 20, level)
        self.packets: list[Packet] = []
        self.raw = b""
        self.ended: str | None = None  # type: ignore[assignment]
        self.writable = True
        self.roomy = False
        self.holds = Hold(0)
        self.keep_alive: int | None = None
        self.conversation: Conversation | None = None
        self.certificates: Sequence[Any] = ()

    def presented(self) -> Sequence[Any]:
        return self.certificates

    def established(self, keep_alive: int, lifetime: float) -> None:
        self.keep_alive = keep_alive

    def refuse(self, answer: bytes, code: str, seconds: float) -> None:
        assert seconds >= 0.0
        self.send(answer)
        self.end(code)

    def send(self, data: bytes) -> None:
        if self.ended is None:
            self.raw += data
            self.packets += self.decoder.feed(data)

    def hold(self, why: Hold) -> None:
        self.holds |= why

    def release(self, why: Hold) -> None:
        self.holds &= ~why

    def end(
        self,
        code: str,
        why: str | None = None,
        *,
        abort: bool = False,
        graceful: bool = False,
        reason: Any = None,
    ) -> None:
        if self.ended is not None:
            return
        assert self.conversation is not None
        if self.conversation.level == 5 and not graceful:
            self.send(farewell(code, reason=reason, why=why, room=self.conversation.packet_room))
        self.ended = code
        self.conversation.over(graceful=graceful)


class Talker:
    """A client, packet by packet. What it gets is in `inbox`."""

    def __init__(self, world: "World", level: int) -> None:
        self.world = world
        self.level = level
        self.wire = Wire(level)
        self.conversation = Conversation(world.hub, self.wire)
        self.wire.conversation = self.conversation
        self._next_id = 0

    def say(self, *packets: Packet) -> list[Packet]:
        """Sends packets; what has come back."""
        decoder = Decoder(1 << 20, self.level)
        for packet in packets:
            data = encode(packet, self.level)
            decoder.level = 4 if isinstance(packet, Connect) else self.level
            try:
                for read in decoder.feed(data):
                    self.conversation.receive(read)
            except Exception as error:
                self.wire.end("protocol-error", str(error), abort=True, reason=reason_of(error))
        self.world.thread.turn()
        return self.inbox()

    def inbox(self) -> list[Packet]:
        packets, self.wire.packets = self.wire.packets, []
        return packets

    def messages(self) -> list[Publish]:
        """The messages among what has come."""
        return [packet for packet in self.inbox() if isinstance(packet, Publish)]

    def next_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def subscribe(self, *filters: str, qos: int = 2, identifier: int | None = None, **options: Any) -> Suback:
        """The SUBACK; retained messages after it stay in the inbox."""
        asked: Any = qos if self.level == 4 else SubscriptionOptions(qos, **options)
        properties = None if identifier is None else Properties(subscription_identifier=(identifier,))
        packet = Subscribe(self.next_id(), tuple((text, asked) for text in filters), properties)
        answer, *rest = self.say(packet)
        assert isinstance(answer, Suback), answer
        self.wire.packets = rest + self.wire.packets
        return answer

    def publish(self, topic: str, payload: bytes = b"x", *, qos: int = 0, **options: Any) -> list[Packet]:
        """What comes back for it."""
        packet_id = self.next_id() if qos else None
        return self.say(Publish(topic, payload, qos, packet_id=packet_id, **options))

    def acknowledge(self, *messages: Publish) -> list[Packet]:
        return self.say(*(Puback(message.packet_id or 0) for message in messages))

    def drop(self) -> None:
        """The connection is lost."""
        self.wire.end("connection-lost", abort=True)
        self.world.thread.turn()


class World:
    """One hub."""

    def __init__(
        self,
        folder: Path,
        rules: Sequence[PolicyRule] = EVERYTHING,
        *,
        limits: Limits | None = None,
        sessions: Sequence[Session] = (),
        now: datetime = NOW,
    ) -> None:
        self.now = now
        self.thread = Thread()
        self.timers: list[Timer] = []
        self.limits = Limits() if limits is None else limits
        self.metrics = HubMetrics()
        thread: Any = self.thread
        self.plain = PlainTopics(folder / "plain.db", thread, self.limits, self.metrics, self.clock, later=self.later)
        exchange = self.plain.exchange
        self.broker = Broker(
            store=thread, exchange=exchange, limits=self.limits, metrics=self.metrics, keeper=Keeper(), clock=self.clock
        )
        self.intake: Any = Intake()
        doorman: Any = Doorman(self)
        self.hub = Hub(
            limits=self.limits,
            metrics=self.metrics,
            refusals=Refusals(self.metrics),
            authenticator=doorman,
            broker=self.broker,
            intake=self.intake,
            clock=self.clock,
            requests=Requests(),
            policy=PlainPolicy(rules),
            exchange=exchange,
            wills=Wills(self.intake, exchange, self.later),
        )
        self.broker.restore(sessions)

    def clock(self) -> datetime:
        return self.now

    def later(self, delay: float, call: Callable[[], None]) -> Timer:
        self.timers.append(timer := Timer(delay, call))
        return timer

    def pass_time(self, seconds: float) -> None:
        """The clock goes on; timers that are due are called, and the minute's work is done."""
        self.now += timedelta(seconds=seconds)
        due = [timer for timer in self.timers if timer.delay <= seconds and not timer.cancelled]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            timer.call()
        self.broker.sweep(self.now)
        self.thread.turn()

    def peer(self, device_id: str, module_id: str | None = None) -> Peer:
        identity = Identity(device_id, module_id, "sas", True, f"g-{device_id}", b"k" * 32, None, None, None, NOW)
        return Peer(device_id, module_id, NOW + timedelta(days=1), (identity,))

    def talker(self, level: int = 5) -> Talker:
        return Talker(self, level)

    def client(
        self,
        name: str = "a",
        level: int = 4,
        *,
        clean: bool = True,
        present: bool | None = None,
        properties: Properties | None = None,
        **options: Any,
    ) -> Talker:
        """A client that is let in: the device `name`, or "device/module"."""
        talker = self.talker(level)
        answer, *rest = talker.say(connecting(name, level, clean=clean, properties=properties, **options))
        assert isinstance(answer, Connack), answer
        assert answer.return_code == 0, answer
        assert present in {None, answer.session_present}
        talker.wire.packets = rest + talker.wire.packets
        return talker

    def close(self) -> None:
        self.thread.turn()
        self.plain.close()

    def restarted(self, folder: Path, *, later: float = 0) -> "World":
        """Another run of the hub, so many seconds later: what is on disk, and the sessions that last."""
        self.now += timedelta(seconds=later)
        self.close()
        names = list(self.broker.peers())
        kept = [session for name in names if (session := self.broker.find(name)) is not None and not session.clean]
        sessions = []
        for session in kept:
            again = Session(session.peer, clean=False)
            again.expiry, again.left = session.expiry, self.now
            again.subscriptions, again.plain = dict(session.subscriptions), dict(session.plain)
            sessions.append(again)
        return World(folder, limits=self.limits, sessions=sessions, now=self.now)


def connecting(name: str, level: int = 5, *, clean: bool = True, keep_alive: int = 60, **options: Any) -> Connect:
    """A CONNECT with the short form of a login."""
    options.setdefault("username", name)
    options.setdefault("password", b"token")
    options.setdefault("client_id", name)
    return Connect(keep_alive=keep_alive, clean_session=clean, level=level, **options)


def connack(talker: Talker, packet: Connect) -> Connack:
    """The answer to CONNECT."""
    (answer,) = talker.say(packet)
    assert isinstance(answer, Connack)
    return answer


def goodbye(packets: list[Packet]) -> Reason:
    """The reason of the DISCONNECT that is the last packet."""
    last = packets[-1]
    assert isinstance(last, Disconnect), packets
    return Reason(last.reason)
