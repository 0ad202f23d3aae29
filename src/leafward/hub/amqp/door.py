"""Whether there is AMQP at all, and its parts put together: nothing of Qpid Proton is loaded before it is known."""

import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

from leafward.errors import LeafwardError
from leafward.hub.access_policies import AccessPolicies
from leafward.hub.amqp.settings import USUAL_PORT, AmqpTable
from leafward.hub.devicebound import DeviceBound
from leafward.hub.hub import Hub
from leafward.hub.store_thread import StoreThread

logger = logging.getLogger(__name__)

LIBRARY = "proton"


class AmqpDoor:
    """The AMQP side of one hub."""

    def __init__(
        self,
        hub: Hub,
        store: StoreThread,
        terms: AmqpTable,
        *,
        host: str,
        policies: AccessPolicies,
        devicebound: DeviceBound,
        generation_of: Callable[[str], str | None],
    ) -> None:
        self._terms = terms
        self._connections: Any = None
        if not terms.enabled:
            return
        if importlib.util.find_spec(LIBRARY) is None:
            logger.info("AMQP stays closed: Qpid Proton is not installed (the extra `amqp`)")
            return
        parts = importlib.import_module("leafward.hub.amqp.parts").AmqpParts(
            hub, terms, host, policies, devicebound, devicebound.feedback, generation_of
        )
        self._connections = importlib.import_module("leafward.hub.amqp.connections").AmqpConnections(parts)
        before = store.grown

        def grown(endpoints: set[str]) -> None:
            before(endpoints)
            parts.grown(endpoints)

        store.grown = grown
        hub.metrics.measured["amqp_connections"] = lambda: len(self._connections)

    def listen(self, bind: Callable[[int], int], mqtt_port: int) -> int | None:
        """Has `bind` listen; the port, None where it stays closed.

        A hub that lets the system choose its ports has this one chosen too. Nobody has asked for AMQP who has only
        installed it: where the port cannot be had, the hub goes without, unless the settings name the port. Then it
        raises what `bind` does.
        """
        if self._connections is None:
            return None
        port = self._terms.port
        try:
            return bind(port if port is not None else USUAL_PORT if mqtt_port else 0)
        except LeafwardError as error:
            if port is not None:
                raise
            logger.warning("AMQP stays closed: %s", error)
            return None

    @property
    def new(self) -> Any:
        """Makes the protocol of a connection (`listeners.NewProtocol`)."""
        return self._connections.new

    async def close(self, store: StoreThread) -> None:
        """Ends every connection in peace."""
        if self._connections is not None:
            await self._connections.close(store)
