"""What devices report, as messages of the source `/twinChangeNotifications`: for modules and upstream, where a route
says so.

The device is told that its report was taken after the message is durable as well: whoever was answered with 204 has
been noted, whatever happens then. The body is the patch as it was reported.
"""

from collections.abc import Callable
from datetime import datetime

from leafward.hub.hub import Hub
from leafward.hub.peer import Peer
from leafward.hub.twins import TwinChange
from leafward.store.twins import TwinKey
from leafward.wire.api_fields import moment, to_json
from leafward.wire.routes import EVENTS, MESSAGE_TYPE

KIND = EVENTS["twinchangenotifications"]
_SYSTEM = {"contentType": "application/json", "contentEncoding": "utf-8", MESSAGE_TYPE: KIND}


class TwinNotifications:
    """Sends them; a sender of the hub's intake like any connection. For the loop's thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: dict[int, Callable[[Exception | None], None]] = {}
        self._last = 0

    def __call__(self, change: TwinChange, then: Callable[[Exception | None], None]) -> None:
        """Has `then` called when the message is durable, or not kept; at once where no route takes it."""
        if change.reported is None:
            then(None)
            return
        self._last += 1
        self._waiting[self._last] = then
        now = self._hub.clock()
        properties, body = _properties(change.key, now), to_json(change.reported)
        self._hub.intake.take(
            _source(change.key, now), body, self, self._last, output=None, properties=properties, system=_SYSTEM
        )

    def stored(self, token: int) -> None:
        """See `Sender`."""
        self._waiting.pop(token)(None)

    def not_stored(self, token: int, error: Exception) -> None:
        """See `Sender`."""
        self._waiting.pop(token)(error)

    def room_again(self) -> None:
        """Nothing is held back here: so few may wait for their twin that they need no more room than they have."""


def _properties(key: TwinKey, now: datetime) -> dict[str, str]:
    """As IoT Hub's own notifications have them."""
    module = {} if key.module_id is None else {"moduleId": key.module_id}
    return {
        "deviceId": key.device_id,
        **module,
        "opType": "updateTwin",
        "operationTimestamp": moment(now),
        "iothub-message-schema": "twinChangeNotification",
    }


def _source(key: TwinKey, now: datetime) -> Peer:
    return Peer(key.device_id, key.module_id, now, rests_on=())
