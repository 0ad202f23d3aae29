"""The subscriptions of sessions that outlive their connection, in one file, so that they outlive the hub as well.

The Azure SDKs connect with CleanSession 0 and do not subscribe again when they reconnect: a hub that forgot their
subscriptions at a restart would never deliver to them again. So a subscription is acknowledged when it is in the file.
The file is written in the store's thread, at most once a round, and always whole; an entry is encoded again only when
its session has changed. An entry that cannot be read costs that one client its session, which it then makes anew.
"""

import json
import logging
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import Damaged, LeafwardError, NotFound, StoreError
from leafward.hub.flow import QueueRoom
from leafward.hub.peer import Peer
from leafward.hub.plain_policy import PlainPolicy
from leafward.hub.sessions import FOREVER, Session
from leafward.hub.store_thread import JobDone, StoreThread
from leafward.hub.subscription import Subscription
from leafward.store.registry import Registry
from leafward.wire.mqtt.packets import MAX_PACKET_ID
from leafward.wire.mqtt.topics import check_filter

logger = logging.getLogger(__name__)

# Bytes, for writing and reading alike: some 100,000 sessions as the SDKs make them. `Broker` bounds each.
MAX_SESSIONS_FILE = 64 * 1024 * 1024


class SessionFile:
    """Keeps the lasting sessions in `path`. It is the broker's `SessionKeeper`."""

    def __init__(self, path: Path, store: StoreThread) -> None:
        self._path = path
        self._store = store
        self._sessions: Iterable[Session] = ()
        self._dirty = False
        self._writing = False
        self._scheduled = False
        self._waiting: list[JobDone] = []  # for the write that is to come
        self._told: list[JobDone] = []  # by the write that is going on

    def changed(self, session: Session, sessions: Iterable[Session]) -> None:
        """Writes the sessions soon; further changes before that share the write."""
        session.kept = None
        self._sessions = sessions
        self._dirty = True
        self._schedule()

    def when_kept(self, done: JobDone) -> None:
        """Calls `done` when every change until now is durable, at once if it is; with the error when it is not."""
        if self._dirty:
            self._waiting.append(done)
            self._schedule()
        elif self._writing:
            self._told.append(done)
        else:
            done(None)

    def load(self, registry: Registry, now: datetime, room: QueueRoom, policy: PlainPolicy) -> list[Session]:
        """The sessions of an earlier run whose clients are still registered, and are the same registration.

        What `policy` no longer allows them they have no longer. Their packet ids begin anywhere: a client may hold one
        of a QoS 2 message that the earlier hub had begun.

        Raises `StoreError` when the registry cannot be read: the sessions must not be forgotten for that.
        """
        try:
            entries = json.loads(disk.read_file(self._path, limit=MAX_SESSIONS_FILE))
            if not isinstance(entries, list):
                raise Damaged("it is no list of sessions")
        except NotFound:
            return []
        except (Damaged, ValueError) as error:
            logger.warning("the kept sessions in %s are not read, clients must subscribe anew: %s", self._path, error)
            return []
        return [session for entry in entries if (session := self._read(entry, registry, now, room, policy)) is not None]

    def _read(
        self, entry: Any, registry: Registry, now: datetime, room: QueueRoom, policy: PlainPolicy
    ) -> Session | None:
        try:
            session = _session(entry, registry, now, room)
        except StoreError as error:
            if not isinstance(error, Damaged):
                raise
            logger.warning("a kept session in %s is not read: %s", self._path, error)
        except (LeafwardError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("a kept session in %s is not read: %r", self._path, error)
        else:
            if session is not None:
                _withdraw(session, policy)
            return session
        return None

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._store.run(self._snapshot, self._write, self._written)

    def _snapshot(self) -> list[bytes]:
        """In the loop's thread, as late as can be."""
        self._scheduled, self._dirty, self._writing = False, False, True
        self._told, self._waiting = self._waiting, []
        return [session.kept or _encoded(session) for session in self._sessions if not session.clean]

    def _write(self, entries: list[bytes]) -> None:
        fitting = _fitting(entries)
        if len(fitting) < len(entries):
            logger.error("%d sessions are not kept: %s is full", len(entries) - len(fitting), self._path)
        disk.write_file(self._path, b"[" + b",\n".join(fitting) + b"]", mode=disk.PRIVATE)

    def _written(self, error: Exception | None) -> None:
        """In the loop's thread. What is not written is still to be: the next who asks has it tried again."""
        self._writing = False
        self._dirty = self._dirty or error is not None
        told, self._told = self._told, []
        for done in told:
            try:
                done(error)
            except Exception:
                logger.exception("a fault of ours: somebody did not take the news of a kept session")


def _encoded(session: Session) -> bytes:
    session.kept = json.dumps(
        {
            "device_id": session.peer.device_id,
            "module_id": session.peer.module_id,
            "generation_id": session.peer.generation_id,
            "subscriptions": {text: one.to_json() for text, one in session.subscriptions.items()},
            **_lasting(session),
        },
        ensure_ascii=False,
    ).encode()
    return session.kept


def _lasting(session: Session) -> dict[str, Any]:
    """What only some sessions have: subscriptions on plain topics, and an end."""
    more: dict[str, Any] = {}
    if session.plain:
        more["plain"] = {text: one.to_json() for text, one in session.plain.items()}
    if session.expiry != FOREVER:
        more["expiry"] = session.expiry
        if session.left is not None:
            more["left"] = session.left.isoformat()
    return more


def _fitting(entries: list[bytes]) -> list[bytes]:
    """As many entries as the file may hold, the oldest first."""
    left = MAX_SESSIONS_FILE - len(b"[]")
    for number, entry in enumerate(entries):
        left -= len(entry) + len(b",\n")
        if left < 0:
            return entries[:number]
    return entries


def _session(entry: Any, registry: Registry, now: datetime, room: QueueRoom) -> Session | None:
    identity = registry.get(entry["device_id"], entry["module_id"])
    if identity is None or not identity.enabled or identity.generation_id != entry["generation_id"]:
        return None
    peer = Peer(identity.device_id, identity.module_id, now, (identity,))
    session = Session(peer, clean=False, room=room, first_id=secrets.randbelow(MAX_PACKET_ID))
    session.subscriptions = _subscriptions(entry["subscriptions"], most=1)
    session.plain = _subscriptions(entry.get("plain", {}), most=2)
    session.expiry = int(entry.get("expiry", FOREVER))
    # Of a client that was here when the hub ended nobody wrote down when it left: it was here until now.
    session.left = datetime.fromisoformat(entry["left"]) if "left" in entry else now
    if not 0 < session.expiry <= FOREVER or session.left.tzinfo is None:
        raise ValueError("the end of the session is none")
    return None if session.expired(now) else session


def _withdraw(session: Session, policy: PlainPolicy) -> None:
    """Takes from a session what its client may not subscribe to any more."""
    permit = policy.permit(session.peer.device_id, session.peer.module_id)
    session.plain = {text: one for text, one in session.plain.items() if permit.may_subscribe(text)}


def _subscriptions(entries: dict[str, Any], *, most: int) -> dict[str, Subscription]:
    """`most`: the highest QoS that is granted on such topics."""
    return {check_filter(text): Subscription.from_json(value, most=most) for text, value in entries.items()}
