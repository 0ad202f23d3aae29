"""Cuts live connections when the registry no longer supports them: disabled, removed, or given other credentials.

Another process writes the registry. Asking SQLite whether it has changed costs microseconds, so we ask often; only
then every client's entry is read again, off the loop. A connection lives for a second at most after its device is
disabled. New devices need nothing from here: each login reads the registry.
"""

import asyncio
import logging
from dataclasses import dataclass

from leafward.errors import Damaged, LeafwardError
from leafward.hub.broker import Broker
from leafward.hub.peer import Peer
from leafward.store.database import ChangeWatch
from leafward.store.registry import Registry

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _Void:
    """An admission that no longer holds. `forget`: the registration is gone, and its session with it."""

    client_id: str
    peer: Peer
    why: str
    forget: bool


class RegistryWatch:
    """Looks at the registry every quarter of a second. `run` is a task; cancel it to stop."""

    def __init__(self, watch: ChangeWatch, registry: Registry, broker: Broker) -> None:
        self._watch = watch
        self._registry = registry
        self._broker = broker
        # A change was seen, and not every client has been judged by it.
        self._dirty = False

    async def run(self) -> None:
        """Never returns. A registry that cannot be read is told once and asked again."""
        failing = False
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.look()
                failing = False
            except LeafwardError as error:
                if not failing:
                    logger.error("the registry cannot be read, changes are not seen: %s", error)
                failing = True

    async def look(self) -> None:
        """One look; cuts who must be cut. Raises the first `LeafwardError` of those that kept an entry from being read:
        the next look judges them all again."""
        # Here and not in a thread: the way there and back, with the interpreter shared on it, costs ten times what the
        # question does, four times a second, and was a third of the worst hundredth of all latencies.
        self._dirty = self._watch.changed() or self._dirty
        if not self._dirty:
            return
        found, failures = await asyncio.to_thread(self._judge, self._broker.peers())
        for verdict in found:
            self._broker.cut(verdict.client_id, verdict.peer, verdict.why, forget=verdict.forget)
        if failures:
            raise failures[0]
        self._dirty = False

    def _judge(self, peers: dict[str, Peer]) -> tuple[list[_Void], list[LeafwardError]]:
        """In a thread: whose admission is void, and what kept others from being judged."""
        found: list[_Void] = []
        failures: list[LeafwardError] = []
        for client_id, peer in peers.items():
            try:
                verdict = self._void(client_id, peer)
            except LeafwardError as error:
                failures.append(error)
            else:
                found += [verdict] if verdict is not None else []
        return found, failures

    def _void(self, client_id: str, peer: Peer) -> _Void | None:
        """Whether an admission rests on a registry entry that is not as it was, or that nobody can read any more."""
        for identity in peer.rests_on:
            try:
                current = self._registry.get(identity.device_id, identity.module_id)
            except Damaged:
                return _Void(client_id, peer, "damaged in the registry", forget=False)
            if current != identity:
                why = "removed" if current is None else "changed" if current.enabled else "disabled"
                same = current is not None and current.generation_id == identity.generation_id
                return _Void(client_id, peer, f"{why} in the registry", forget=not same)
        return None
