"""Whose message it is that a child gateway's hub passes on: it says so, and is believed for what is below it.

    leaf1 -- line-3 (child) -- this gateway      line-3/$edgeHub publishes, $.cdid=leaf1

A child speaks for itself, its modules, and for devices that this gateway knows to be behind it or does not know at all.
It does not speak for a device that is registered before this gateway, or behind another child: such a message is kept
as the child's own, with the name that it claimed, and told.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from leafward.errors import LeafwardError
from leafward.hub.log_budget import LogBudgets
from leafward.hub.metrics import HubMetrics
from leafward.hub.peer import Peer
from leafward.pki.names import parse_device_id, parse_module_id
from leafward.store.registry import Registry
from leafward.wire.property_bag import CONNECTION_DEVICE, CONNECTION_MODULE

logger = logging.getLogger(__name__)

# What a message that is not believed says beside its own properties: who it claimed to come from.
CLAIMED = "leafward-claimed-origin"
# How long an answer of the registry is good for: a change is late by so much at most.
_GOOD_FOR = timedelta(seconds=5)
_MOST_REMEMBERED = 4096
# Gateways one below the other; the path length of a device CA ends long before.
_DEEPEST = 8


class Origins:
    """Judges what child hubs say. `own_device_id` is this gateway's. For the loop's thread."""

    def __init__(
        self, registry: Registry, own_device_id: str, metrics: HubMetrics, clock: Callable[[], datetime]
    ) -> None:
        self._registry = registry
        self._own = own_device_id
        self._metrics = metrics
        self._clock = clock
        self._budgets = LogBudgets()
        self._known: dict[tuple[str, str, str | None], tuple[datetime, bool]] = {}

    def origin(
        self, peer: Peer, properties: dict[str, str], system: Mapping[str, str]
    ) -> tuple[str, str | None, dict[str, str], dict[str, str]]:
        """(device, module, properties, system) of a message that the hub `peer` passes on."""
        plain = {name: value for name, value in system.items() if name not in (CONNECTION_DEVICE, CONNECTION_MODULE)}
        device_id, module_id = system.get(CONNECTION_DEVICE), system.get(CONNECTION_MODULE) or None
        if device_id is None:
            return peer.device_id, peer.module_id, properties, plain
        if self._may_speak(peer.device_id, device_id, module_id):
            return device_id, module_id, properties, plain
        claim = device_id if module_id is None else f"{device_id}/{module_id}"
        self._metrics.refused["origin-not-believed"] += 1
        if self._budgets.take(peer.device_id):
            logger.warning("%r does not speak for %r: the message is kept as its own", peer.device_id, claim[:200])
        return peer.device_id, peer.module_id, {**properties, CLAIMED: claim}, plain

    def _may_speak(self, child: str, device_id: str, module_id: str | None) -> bool:
        key, now = (child, device_id, module_id), self._clock()
        found = self._known.get(key)
        if found is None or not found[0] - _GOOD_FOR <= now < found[0] + _GOOD_FOR:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[key] = now, self._look(child, device_id, module_id)
        return found[1]

    def _look(self, child: str, device_id: str, module_id: str | None) -> bool:
        try:
            parse_device_id(device_id)
            if module_id is not None:
                parse_module_id(module_id)
        except LeafwardError:
            return False
        if device_id == self._own:
            return False
        at: str | None = device_id
        for _ in range(_DEEPEST):
            if at == child:
                return True
            identity = None if at is None else self._registry.get(at)
            if identity is None:
                # Unknown here, so nobody else's; a known device that leads to no child is before this gateway.
                return at == device_id
            at = identity.parent
        return False
