"""Messages coming in, over MQTT and HTTPS alike: a value, its routes, and a place in the next durable transaction."""

from collections.abc import Callable
from datetime import datetime

from leafward.hub.metrics import HubMetrics
from leafward.hub.peer import Peer
from leafward.hub.store_thread import Sender, StoreThread
from leafward.hub.upstream_origins import Origins
from leafward.store.messages import Message
from leafward.wire.property_bag import EDGE_HUB
from leafward.wire.routes import Router


class Intake:
    """Takes messages in. `clock` gives the time they are enqueued at, in UTC. `origins` judges what child hubs say."""

    def __init__(
        self,
        store: StoreThread,
        router: Router,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        origins: Origins | None = None,
    ) -> None:
        self._store = store
        self._router = router
        self._metrics = metrics
        self._clock = clock
        self._origins = origins

    def take(
        self,
        peer: Peer,
        body: bytes,
        sender: Sender,
        token: int,
        *,
        output: str | None,
        properties: dict[str, str],
        system: dict[str, str],
    ) -> bool:
        """Queues one message; `sender.stored(token)` follows when it is durable.

        Returns False when the sender must take no more until `sender.room_again()`. A message that no route wants is
        dropped, as edgeHub does, and is stored at once.
        """
        device_id, module_id = peer.device_id, peer.module_id
        if module_id == EDGE_HUB and self._origins is not None:
            device_id, module_id, properties, system = self._origins.origin(peer, properties, system)
        message = Message(
            device_id=device_id,
            module_id=module_id,
            output=output,
            properties=properties,
            system=system,
            body=body,
            enqueued=self._clock(),
        )
        self._metrics.messages_in += 1
        self._metrics.bytes_in += len(body)
        endpoints = self._router.endpoints_for(message)
        if not endpoints:
            sender.stored(token)
            return True
        return self._store.append(message, endpoints, sender, token)

    @property
    def full(self) -> bool:
        """The disk does not keep up: nothing more should be taken just now."""
        return self._store.full

    def forget(self, sender: Sender) -> None:
        """The sender is gone: it wants no `room_again`."""
        self._store.forget(sender)
