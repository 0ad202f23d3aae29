"""Who is connected and who waits: the sessions by client id, and the feeds by endpoint.

One client id has one connection: a second one that is let in ends the first (3.1.4-2). All in the loop's thread.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote

from leafward.hub.module_inputs import InputFeed
from leafward.hub.peer import Peer
from leafward.hub.sessions import Session
from leafward.hub.settings import Limits
from leafward.hub.store_thread import JobDone, StoreThread
from leafward.wire.mqtt.topics import filter_takes
from leafward.wire.routes import module_input

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
    """The sessions of one hub. `endpoints` are all module inputs that a route leads to, on device `device_id`."""

    def __init__(
        self, *, device_id: str, endpoints: Iterable[str], store: StoreThread, limits: Limits, keeper: SessionKeeper
    ) -> None:
        self._device_id = device_id
        self._inputs = [(*parts, endpoint) for endpoint in endpoints if (parts := module_input(endpoint)) is not None]
        self._store = store
        self._limits = limits
        self._keeper = keeper
        self._sessions: dict[str, Session] = {}
        self._connections: dict[str, Connection] = {}
        self._feeds: defaultdict[str, list[InputFeed]] = defaultdict(list)
        store.grown = self._grown

    def enter(self, peer: Peer, connection: Connection, *, clean: bool) -> tuple[Session, bool]:
        """The session of an admitted client, and whether it was there before. Ends an older connection of its."""
        older = self._connections.pop(peer.client_id, None)
        if older is not None:
            older.end("taken-over", "the same client id has connected again", abort=True)
        self._connections[peer.client_id] = connection
        session = self._sessions.get(peer.client_id)
        present = session is not None and not clean and not session.clean and session.belongs_to(peer)
        if session is None or not present:
            if session is not None:
                self._drop(session)
            session = self._sessions[peer.client_id] = Session(peer, clean=clean)
            self._save(session)
        return session, present

    def leave(self, session: Session, connection: object) -> None:
        """The connection is over. A clean session goes with it (3.1.2-6)."""
        if self._connections.get(session.client_id) is connection:
            del self._connections[session.client_id]
        if session.receiver is not connection:
            return
        session.detach()
        if session.clean and self._sessions.get(session.client_id) is session:
            self._drop(session)

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> int | None:
        """Adds or replaces a subscription that the client may have; the granted QoS, or None when it is too much."""
        if topic_filter not in session.subscriptions and not self._has_room(session, topic_filter):
            return None
        if session.subscriptions.get(topic_filter) != qos:
            session.subscriptions[topic_filter] = qos
            self._save(session)
        self._feed(session)
        return qos

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Forgets a subscription; one that is not there is no error (3.10.4-5)."""
        if session.subscriptions.pop(topic_filter, None) is not None:
            self._save(session)
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
        """Takes back sessions of an earlier run; their clients are away."""
        for session in sessions:
            self._sessions[session.client_id] = session
            self._feed(session)

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

    def _has_room(self, session: Session, topic_filter: str) -> bool:
        held = session.subscriptions
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
        self._save(session)

    def _feed(self, session: Session) -> None:
        """Opens and closes feeds so that they are what the subscriptions ask for."""
        wanted = dict(self._wanted(session))
        for endpoint in [endpoint for endpoint in session.feeds if endpoint not in wanted]:
            self._close(session.feeds.pop(endpoint))
        for endpoint, (input_name, qos) in wanted.items():
            feed = session.feeds.get(endpoint)
            if feed is None:
                feed = InputFeed(
                    session,
                    endpoint,
                    input_name=input_name,
                    qos=qos,
                    store=self._store,
                    window=self._limits.inflight,
                )
                session.feeds[endpoint] = feed
                self._feeds[endpoint].append(feed)
            feed.qos = qos

    def _wanted(self, session: Session) -> Iterable[tuple[str, tuple[str, int]]]:
        peer = session.peer
        # Routes lead to modules of this edge; a leaf device may have a module of the same name.
        if peer.module_id is None or peer.device_id != self._device_id:
            return
        for module_id, input_name, endpoint in self._inputs:
            if module_id != peer.module_id:
                continue
            topic = f"devices/{peer.device_id}/modules/{module_id}/inputs/{quote(input_name, safe='')}/"
            granted = [qos for text, qos in session.subscriptions.items() if filter_takes(text, topic)]
            if granted:
                yield endpoint, (input_name, max(granted))

    def _close(self, feed: InputFeed) -> None:
        feed.close()
        self._feeds[feed.endpoint].remove(feed)

    def _grown(self, endpoints: set[str]) -> None:
        for endpoint in endpoints:
            for feed in list(self._feeds.get(endpoint, ())):
                feed.pump()

    def _save(self, session: Session) -> None:
        if not session.clean:
            self._keeper.changed(session, self._sessions.values())
