"""The subscriptions of sessions that outlive their connection, in one file, so that they outlive the hub as well.

The Azure SDKs connect with CleanSession 0 and do not subscribe again when they reconnect: a hub that forgot their
subscriptions at a restart would never deliver to them again. The file is written in the store's thread, at most once a
round, and always whole. It is a convenience: one that cannot be read is set aside, and clients subscribe anew.
"""

import json
import logging
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import LeafwardError, NotFound
from leafward.hub.peer import Peer
from leafward.hub.sessions import Session
from leafward.hub.store_thread import StoreThread
from leafward.store.registry import Registry

logger = logging.getLogger(__name__)


class SessionFile:
    """Keeps the lasting sessions in `path`. It is the broker's `SessionKeeper`."""

    def __init__(self, path: Path, store: StoreThread) -> None:
        self._path = path
        self._store = store
        self._sessions: Iterable[Session] = ()
        self._scheduled = False

    def changed(self, sessions: Iterable[Session]) -> None:
        """Writes the sessions soon; further changes before that share the write."""
        self._sessions = sessions
        if not self._scheduled:
            self._scheduled = True
            self._store.run(self._snapshot, self._write)

    def load(self, registry: Registry, now: datetime) -> list[Session]:
        """The sessions of an earlier run whose clients are still registered, and are the same registration."""
        try:
            entries = json.loads(disk.read_file(self._path))
            return [session for entry in entries if (session := _session(entry, registry, now)) is not None]
        except NotFound:
            return []
        except (LeafwardError, ValueError, KeyError, TypeError) as error:
            logger.warning("the kept sessions in %s are not read, clients must subscribe anew: %s", self._path, error)
            return []

    def _snapshot(self) -> bytes:
        """In the loop's thread, as late as can be."""
        self._scheduled = False
        return json.dumps([_entry(session) for session in self._sessions if not session.clean]).encode()

    def _write(self, data: bytes) -> None:
        disk.write_file(self._path, data, mode=disk.PRIVATE)


def _entry(session: Session) -> dict[str, Any]:
    return {
        "device_id": session.peer.device_id,
        "module_id": session.peer.module_id,
        "generation_id": session.peer.generation_id,
        "subscriptions": session.subscriptions,
    }


def _session(entry: dict[str, Any], registry: Registry, now: datetime) -> Session | None:
    identity = registry.get(entry["device_id"], entry["module_id"])
    if identity is None or not identity.enabled or identity.generation_id != entry["generation_id"]:
        return None
    session = Session(Peer(identity.device_id, identity.module_id, now, (identity,)), clean=False)
    session.subscriptions = {str(text): int(qos) for text, qos in entry["subscriptions"].items()}
    return session
