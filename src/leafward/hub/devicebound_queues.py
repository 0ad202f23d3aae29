"""The queues of messages to devices in the message store: what one job does there, in the store's thread.

The bound of a queue is checked and the message kept in one go, so that no two senders pass it together. What has
expired makes room first. All that is sent within one round of the store shares a transaction.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from leafward.store.messages import Message, MessageStore
from leafward.wire.devicebound import DeviceMessage, endpoint_of

# Beside the system properties; on no wire, since it does not begin with "$.".
_GENERATION = "leafward-generation"


@dataclass(frozen=True, slots=True)
class Registration:
    """Whose queue: a device that was removed and registered anew under its name gets nothing of the earlier one's."""

    device_id: str
    generation_id: str


@dataclass(slots=True)
class Sending:
    """A message on its way into the store. `id`: its number once it is durable, None when the queue was full."""

    device_id: str
    message: Message
    id: int | None = None


@dataclass(slots=True)
class Admission:
    """Several messages at once, and what had expired in the queues they go to. `most` may wait in one queue."""

    sendings: list[Sending]
    most: int
    expired: Callable[[Message], bool] = field(repr=False)
    dropped: list[Message] = field(default_factory=list)

    def perform(self, store: MessageStore) -> None:
        """In the store's thread. Raises `StoreError`; then nothing of it is kept."""
        depths: dict[str, int] = {}
        admitted: list[Sending] = []
        for sending in self.sendings:
            endpoint = endpoint_of(sending.device_id)
            if endpoint not in depths:
                depths[endpoint] = self._depth(store, endpoint, generation_of(sending.message))
            if depths[endpoint] < self.most:
                depths[endpoint] += 1
                admitted.append(sending)
        ids = store.append([(one.message, (endpoint_of(one.device_id),)) for one in admitted])
        for sending, number in zip(admitted, ids, strict=True):
            sending.id = number

    def _depth(self, store: MessageStore, endpoint: str, generation: str) -> int:
        depth = store.waiting(endpoint)
        if depth < self.most:
            return depth
        waiting = store.pending(endpoint, limit=depth)
        gone = [one for one in waiting if self.expired(one) or generation_of(one) != generation]
        remove(store, endpoint, gone)
        self.dropped.extend(gone)
        return depth - len(gone)


def remove(store: MessageStore, endpoint: str, messages: Iterable[Message]) -> None:
    """Takes messages out of a queue. In the store's thread."""
    store.acknowledge(endpoint, [message.id for message in messages if message.id is not None])


def message_of(owner: Registration, message: DeviceMessage, message_id: str, now: datetime) -> Message:
    """A message as it is kept: nobody's telemetry, under the device it goes to."""
    system = {**message.stamped(owner.device_id, message_id), _GENERATION: owner.generation_id}
    return Message(owner.device_id, None, None, dict(message.properties), system, message.body, now)


def generation_of(message: Message) -> str:
    """The registration that a kept message is for."""
    return message.system.get(_GENERATION, "")


def without_marks(message: Message) -> Message:
    """A kept message as others may see it."""
    return replace(message, system={name: value for name, value in message.system.items() if name != _GENERATION})
