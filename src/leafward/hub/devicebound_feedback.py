"""Feedback: what became of messages to devices whose senders have asked (`iothub-ack`), for services to fetch.

    positive  the device completed it          negative  it expired, was rejected, purged or given up         full  both

In memory and bounded: of more than `MOST` the oldest goes, and a hub that restarts has none of it. What became of one
message is always to be had from `GET /hub/devices/{id}/devicebound/{number}`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leafward.hub.devicebound_ledger import (
    COMPLETED,
    EXPIRED,
    PURGED,
    REJECTED,
    REMOVED,
    TOO_MANY_ATTEMPTS,
)
from leafward.hub.devicebound_queues import Registration, Sending
from leafward.wire.devicebound import written
from leafward.wire.service_api_headers import ACK

MOST = 10_000
# Of one batch, and how often one that is given back is told again.
MOST_AT_ONCE = 64
MOST_TIMES = 10
# IoT Hub's words.
_CODES = {
    COMPLETED: "Success",
    EXPIRED: "Expired",
    TOO_MANY_ATTEMPTS: "DeliveryCountExceeded",
    REJECTED: "Rejected",
    PURGED: "Purged",
    REMOVED: "Purged",
}
_POSITIVE, _NEGATIVE, _FULL = "positive", "negative", "full"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A message that waits, and whose sender wants to know."""

    ack: str
    message_id: str
    owner: Registration


@dataclass(slots=True)
class _Batch:
    records: list[dict[str, Any]]
    times: int = 1


class Feedback:
    """The feedback of one hub. For the loop's thread."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._wanted: OrderedDict[int, _Wanted] = OrderedDict()
        self._records: list[dict[str, Any]] = []
        self._again: list[_Batch] = []
        self._under_way: dict[int, _Batch] = {}
        self._tokens = 0
        self._listeners: list[Callable[[], None]] = []

    def watch(self, sending: Sending, owner: Registration) -> None:
        """A message has been kept, or not (its `id` is None)."""
        system = sending.message.system
        ack = system.get(ACK, "").lower()
        if sending.id is None or ack not in (_POSITIVE, _NEGATIVE, _FULL):
            return
        self._wanted[sending.id] = _Wanted(ack, system["messageId"], owner)
        if len(self._wanted) > MOST:
            self._wanted.popitem(last=False)

    def ended(self, number: int, end: str) -> None:
        """A message has come to its end."""
        wanted = self._wanted.pop(number, None)
        if wanted is None or wanted.ack == (_NEGATIVE if end == COMPLETED else _POSITIVE):
            return
        self._records.append(
            {
                "originalMessageId": wanted.message_id,
                "description": _CODES.get(end, end),
                "deviceId": wanted.owner.device_id,
                "deviceGenerationId": wanted.owner.generation_id,
                "enqueuedTimeUtc": written(self._clock()),
                "statusCode": _CODES.get(end, end),
            }
        )
        if len(self._records) > MOST:
            del self._records[0]
        if len(self._records) == 1 and self._listeners:
            # At the end of the tick: what one round of the store brings goes in one batch.
            asyncio.get_running_loop().call_soon(self._tell)

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Has `told` called when there is something to take, until what is returned is called."""
        self._listeners.append(told)
        return lambda: self._listeners.remove(told) if told in self._listeners else None

    def take(self) -> tuple[int, list[dict[str, Any]]] | None:
        """A batch and its token, to be given with `done` or `back`; None where there is nothing."""
        if self._again:
            batch = self._again.pop(0)
        elif self._records:
            batch = _Batch(self._records[:MOST_AT_ONCE])
            del self._records[:MOST_AT_ONCE]
        else:
            return None
        self._tokens += 1
        self._under_way[self._tokens] = batch
        return self._tokens, batch.records

    def done(self, token: int) -> None:
        """A service has the batch."""
        self._under_way.pop(token, None)

    def back(self, token: int) -> None:
        """It was not taken: once more, unless that was so too often."""
        batch = self._under_way.pop(token, None)
        if batch is None or batch.times >= MOST_TIMES:
            return
        batch.times += 1
        self._again.append(batch)

    def _tell(self) -> None:
        for told in list(self._listeners):
            told()
