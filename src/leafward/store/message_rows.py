"""A message as a row and back: what each message passes through twice, so no more is done than has to be."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from leafward.store.message_schema import LOWEST, goes_upstream, rank_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Names of queues whose rank is remembered: there are as many as routes, and one for each device.
_MOST_REMEMBERED = 4096

COLUMNS = ("id", "device_id", "module_id", "output", "properties", "system", "body", "enqueued", "upstream", "priority")


@dataclass(frozen=True, slots=True)
class Message:
    """What a device or module sent.

    `output` is the module output it came from, None for a leaf device's telemetry. `properties` are the sender's,
    `system` the protocol's own (message id, content type, …). `enqueued` is aware: when the hub took it, kept in UTC to
    the microsecond. `id` is the store's, None before `append`.
    """

    device_id: str
    module_id: str | None
    output: str | None
    properties: dict[str, str]
    system: dict[str, str]
    body: bytes = field(repr=False)
    enqueued: datetime
    id: int | None = None


class RowWriter:
    """Makes rows. What devices send again and again, the same properties to the same queues, is worked out once."""

    def __init__(self) -> None:
        self._queues: dict[str, tuple[int, bool]] = {}

    def rows(
        self, first: int, batch: Sequence[tuple[Message, Collection[str]]]
    ) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, int | None]]]:
        """(rows of `messages`, rows of `deliveries`) for messages numbered from `first` on."""
        messages, deliveries = [], []
        known: tuple[object, str] = (None, "")
        for number, (message, endpoints) in enumerate(batch, first):
            if not endpoints:
                continue
            # One connection's messages share the object that their topic was read into.
            if message.system is not known[0]:
                known = message.system, _text(message.system)
            enqueued = microseconds(message.enqueued)
            rank, upstream = LOWEST, False
            for endpoint, expires in _ends(endpoints, enqueued):
                deliveries.append((number, endpoint, expires))
                its_rank, leads_up = self._queues.get(endpoint) or self._look(endpoint)
                rank = min(rank, its_rank)
                upstream = upstream or leads_up
            messages.append(
                (
                    number,
                    message.device_id,
                    message.module_id,
                    message.output,
                    _text(message.properties),
                    known[1],
                    message.body,
                    enqueued,
                    upstream,
                    rank,
                )
            )
        return messages, deliveries

    def _look(self, endpoint: str) -> tuple[int, bool]:
        if len(self._queues) >= _MOST_REMEMBERED:
            self._queues.clear()
        found = self._queues[endpoint] = rank_of(endpoint), goes_upstream(endpoint)
        return found


def message_of(row: Sequence[Any]) -> Message:
    """The message of a row in the order of `COLUMNS`."""
    number, device_id, module_id, output, properties, system, body, enqueued = row[:8]
    return Message(
        device_id,
        module_id,
        output,
        {} if properties == "{}" else json.loads(properties),
        {} if system == "{}" else json.loads(system),
        bytes(body),
        time_of(enqueued),
        number,
    )


def microseconds(time: datetime) -> int:
    """Since 1970, UTC."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(number: int) -> datetime:
    """The inverse of `microseconds`."""
    return _EPOCH + timedelta(microseconds=number)


def _text(properties: dict[str, str]) -> str:
    return json.dumps(properties) if properties else "{}"


def _ends(endpoints: Collection[str], enqueued: int) -> Iterable[tuple[str, int | None]]:
    """Each queue once, and when waiting in it ends."""
    if isinstance(endpoints, Mapping):
        for endpoint, seconds in endpoints.items():
            yield endpoint, None if seconds is None else enqueued + seconds * 1_000_000
    else:
        for endpoint in endpoints if len(endpoints) == 1 else dict.fromkeys(endpoints):
            yield endpoint, None
