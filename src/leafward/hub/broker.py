"""Who is connected and who waits: the sessions by client id, and the feeds by endpoint.

One client id has one connection: a second one that is let in ends the first (3.1.4-2). All in the loop's thread.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from leafward.hub.exchange import Exchange
from leafward.hub.feeds import Feed, FeedSource, FeedSpec
from leafward.hub.flow import QueueRoom
from leafward.hub.metrics import HubMetrics
from leafward.hub.peer import Peer
from leafward.hub.sessions import FOREVER, Session
from leafward.hub.settings import Limits
from leafward.hub.store_thread import JobDone, StoreThread
from leafward.hub.subscription import Subscription

logger = logging.getLogger(__name__)

# Bytes of one topic filter, and of all of a session: the ids of the longest device and module need 300 in each, and a
# client of ours has five. They are kept in memory and, for lasting sessions, in one file that all share.
LONGEST_FILTER = 512
MOST_FILTER_BYTES = 16_384


class Connection(Protocol):
    """What the broker does with a connection: ends it."""

    def end(self, code: str, why: str | None = None, *, abort: bool = False, graceful: bool = False) -> None: ...


class SessionKeeper(Protocol):
    """Told whenever a session that outlives its connection has changed; tells when that is durable."""

    def changed(self, session: Session, sessions: Iterable[Session]) -> None: ...
    def when_kept(self, done: JobDone) -> None: ...


class Broker:
    """The sessions of one hub.

    `sources` say which endpoints of the message store a session drains: add one at the start of the hub. `arrived` are
    called with each session whose client has been let in, after CONNACK; `subscribed` with a session and a topic filter
    of IoT Hub's that it has been granted, after SUBACK. `clock` gives the time in UTC.
    """

    def __init__(
        self,
        *,
        store: StoreThread,
        exchange: Exchange,
        limits: Limits,
        metrics: HubMetrics,
        keeper: SessionKeeper,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._limits = limits
        self._keeper = keeper
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._connections: dict[str, Connection] = {}
        self._feeds: defaultdict[str, list[Feed]] = defaultdict(list)
        self.sources: list[FeedSource] = []
        self.arrived: list[Callable[[Session], None]] = []
        self.subscribed: list[Callable[[Session, str], None]] = []
        self.room = QueueRoom(limits.queued_messages, limits.queued_bytes, limits.queued_bytes_all)
        store.grown = self._grown
        metrics.measured["sessions"] = lambda: len(self._sessions)
        metrics.measured["queued_bytes"] = lambda: self.room.used

    def find(self, client_id: str) -> Session | None:
        """The session of a client (`device` or `device/module`), connected or not; None where there is none."""
        return self._sessions.get(client_id)

    def enter(self, peer: Peer, connection: Connection, *, clean: bool, expiry: int) -> tuple[Session, bool]:
        """The session of an admitted client, and whether it was there before. Ends an older connection of its.

        `clean`: it wants a new one. `expiry`: for how many seconds the session is to wait for it (`Session.expiry`).
        """
        older = self._connections.pop(peer.client_id, None)
        if older is not None:
            older.end("taken-over", "the same client id has connected again", abort=True)
        self._connections[peer.client_id] = connection
        session = self._sessions.get(peer.client_id)
        present = session is not None and not clean and session.belongs_to(peer) and not session.expired(self._clock())
        if session is None or not present:
            if session is not None:
                self._drop(session)
            session = self._sessions[peer.client_id] = Session(peer, clean=False, room=self.room)
            session.expiry = expiry
            self._save(session)
        else:
            self.expire_in(session, expiry)
            self._feed(session)
        return session, present

    def leave(self, session: Session, connection: object) -> None:
        """The connection is over. A session that does not last goes with it (3.1.2-6)."""
        if self._connections.get(session.client_id) is connection:
            del self._connections[session.client_id]
        if session.receiver is not connection:
            return
        session.detach(self._clock())
        if self._sessions.get(session.client_id) is not session:
            return
        if session.clean:
            self._drop(session)
        elif session.expiry != FOREVER:
            self._save(session)

    def expire_in(self, session: Session, expiry: int) -> None:
        """From when its client leaves the session waits for so many seconds."""
        if session.expiry != expiry:
            session.expiry = expiry
            self._keep(session)

    def sweep(self, now: datetime) -> None:
        """Forgets the sessions whose clients have not come back in time, and retained messages whose time is over."""
        for session in [session for session in self._sessions.values() if session.expired(now)]:
            self._drop(session)
        self._exchange.sweep()

    def subscribe(self, session: Session, topic_filter: str, asked: Subscription, *, plain: bool) -> bool:
        """Adds or replaces a subscription that the client may have, on IoT Hub's topics or on `plain` ones.

        False for too much.
        """
        held = session.plain if plain else session.subscriptions
        if topic_filter not in held and not self._has_room(session, topic_filter, plain=plain):
            return False
        if held.get(topic_filter) != asked:
            held[topic_filter] = asked
            self._save(session)
        if plain:
            self._exchange.subscribe(session, topic_filter, asked)
        else:
            self._feed(session)
        return True

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Forgets a subscription; False for one that is not there, which is no error (3.10.4-5)."""
        if session.plain.pop(topic_filter, None) is not None:
            self._exchange.unsubscribe(session, topic_filter)
        elif session.subscriptions.pop(topic_filter, None) is not None:
            self._feed(session)
        else:
            return False
        self._save(session)
        return True

    def refresh(self, session: Session) -> None:
        """Opens and closes feeds so that they are what the sources say: for a source that has changed its mind."""
        self._feed(session)

    def when_kept(self, session: Session, done: JobDone) -> None:
        """Calls `done` when the session is as durable as it is to be: at once for one that ends with its connection.

        It is told the error when the disk refuses.
        """
        if session.clean:
            done(None)
        else:
            self._keeper.when_kept(done)

    def restore(self, sessions: Iterable[Session]) -> None:
        """Takes back sessions of an earlier run; their clients are away. After the sources have been added."""
        for session in sessions:
            self._sessions[session.client_id] = session
            self._feed(session)
            for topic_filter, subscription in session.plain.items():
                self._exchange.subscribe(session, topic_filter, subscription)
        self._exchange.restore(self.find)

    def peers(self) -> dict[str, Peer]:
        """Every client with a session, connected or not, by client id."""
        return {client_id: session.peer for client_id, session in self._sessions.items()}

    def cut(self, client_id: str, peer: Peer, why: str, *, forget: bool) -> None:
        """The decision to let this client in is void: its connection ends. `forget`: so does its session."""
        session = self._sessions.get(client_id)
        if session is None or session.peer is not peer:
            return  # it has connected anew since the decision was looked at
        connection = self._connections.get(client_id)
        if connection is not None:
            connection.end("no-longer-admitted", why, abort=True)
        if forget and self._sessions.get(client_id) is session:
            self._drop(session)

    def _has_room(self, session: Session, topic_filter: str, *, plain: bool) -> bool:
        held = [*session.subscriptions, *session.plain]
        if plain and self._exchange.subscriptions >= self._limits.subscriptions_all:
            return False
        if len(held) >= self._limits.subscriptions or not topic_filter.isprintable():
            return False
        size = len(topic_filter.encode())
        return size <= LONGEST_FILTER and size + sum(len(text.encode()) for text in held) <= MOST_FILTER_BYTES

    def _drop(self, session: Session) -> None:
        self._sessions.pop(session.client_id, None)
        session.detach()
        for feed in session.feeds.values():
            self._close(feed)
        session.feeds.clear()
        # Before what it never got goes to others of a shared subscription.
        for topic_filter in session.plain:
            self._exchange.unsubscribe(session, topic_filter)
        for packet_id in session.received:
            self._exchange.received(session, packet_id, here=False)
        for delivery in session.flow.abandon():
            delivery.abandoned()
        self._save(session)

    def _feed(self, session: Session) -> None:
        wanted = self._wanted(session)
        for endpoint in [endpoint for endpoint in session.feeds if endpoint not in wanted]:
            self._close(session.feeds.pop(endpoint))
        for endpoint, spec in wanted.items():
            feed = session.feeds.get(endpoint)
            if feed is None:
                feed = session.feeds[endpoint] = Feed(session, spec, store=self._store, window=self._limits.inflight)
                self._feeds[endpoint].append(feed)
            feed.spec = spec
        session.flow.reserve = self._limits.inflight if session.feeds else 0

    def _wanted(self, session: Session) -> dict[str, FeedSpec]:
        wanted: dict[str, FeedSpec] = {}
        for source in self.sources:
            for spec in source.feeds(session):
                wanted.setdefault(spec.endpoint, spec)
        return wanted

    def _close(self, feed: Feed) -> None:
        feed.close()
        self._feeds[feed.spec.endpoint].remove(feed)

    def _grown(self, endpoints: set[str]) -> None:
        for endpoint in endpoints:
            for feed in list(self._feeds.get(endpoint, ())):
                feed.pump()

    def _save(self, session: Session) -> None:
        if not session.clean:
            self._keep(session)

    def _keep(self, session: Session) -> None:
        self._keeper.changed(session, self._sessions.values())
