"""Twins: reads and changes collected in the loop's thread, done in the store's, a round at a time in one transaction.

    ask -> queue (bounded, also for each client) -> one transaction for all that waits -> durable -> `done`, in order
                                                                                                 `-> PATCH desired

A twin belongs to one registration. A change for one that is gone meanwhile is refused, so that the last words of a
device that was removed do not become the first of the one that got its name.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from leafward.errors import LeafwardError
from leafward.hub.hub import Hub
from leafward.hub.log_budget import LogBudgets
from leafward.hub.store_thread import StoreThread
from leafward.store.twins import TwinBatch, TwinKey, TwinRecord, TwinStore
from leafward.wire.api_fields import to_json
from leafward.wire.hub_topics import twin_patch_topic
from leafward.wire.service_api import Fault, fault_of
from leafward.wire.twins import Document, Section, Twin

logger = logging.getLogger(__name__)

# Requests that wait: of one client, of all, and the bytes of all together.
MOST_OF_ONE_CLIENT = 16
MOST_WAITING = 4096
MOST_BYTES = 16 * 1024 * 1024
# Requests of one round: telemetry waits for the same thread. Some 10 ms where all are changes.
MOST_AT_ONCE = 64
# Bytes of a request, counted beside its payload.
_OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class TwinFailure:
    """Why there is no twin, or it was not changed, in IoT Hub's codes."""

    fault: Fault
    why: str


@dataclass(frozen=True, slots=True)
class TwinChange:
    """A change that is durable. `told` is the patch of the desired properties that the device gets, if any; `reported`
    the one that the device sent."""

    key: TwinKey
    before: Twin
    after: Twin
    told: Document | None = None
    reported: Document | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change makes of a twin, and the patches that say so (`TwinChange`)."""

    after: Twin
    told: Document | None = None
    reported: Document | None = None


Outcome: TypeAlias = Twin | TwinFailure
# Called in the store's thread with the twin as it is. May raise `InputError`.
How: TypeAlias = Callable[[Twin], Changed | TwinFailure]
Done: TypeAlias = Callable[[Outcome], None]
# Called in the loop with a durable change; calls back, at once or later, when that has been noted elsewhere too.
Notify: TypeAlias = Callable[["TwinChange", Callable[[Exception | None], None]], None]


@dataclass(slots=True)
class _Request:
    """One read (`how` is None) or change, and what became of it."""

    key: TwinKey
    how: How | None
    done: Done
    size: int
    outcome: Outcome | None = None
    change: TwinChange | None = None


class Twins:
    """The twins of one hub. `registered` tells whether a registration is still there; called in the store's thread.

    `notify` is told each change before whoever made it; put another in its place at the start. For the loop's thread.
    """

    def __init__(self, hub: Hub, thread: StoreThread, store: TwinStore, registered: Callable[[TwinKey], bool]) -> None:
        self._hub = hub
        self._thread = thread
        self._store = store
        self._registered = registered
        self._waiting: deque[_Request] = deque()
        self._of_client: Counter[str] = Counter()
        self._bytes = 0
        self._count = 0
        self._scheduled = False
        self._budgets = LogBudgets()
        self.notify: Notify = lambda _change, then: then(None)

    def ask(self, key: TwinKey, done: Done, how: How | None = None, *, size: int = 0) -> None:
        """Reads a twin, or changes it by `how`; `done` follows in the loop, after the disk.

        At once, with a failure, when too much waits. `size`: the bytes that `how` holds. Requests are answered in their
        order; but a read may come before the changes that `notify` is about to note.
        """
        size += _OVERHEAD
        full = self._count >= MOST_WAITING or self._bytes + size > MOST_BYTES
        if full or self._of_client[key.label] >= MOST_OF_ONE_CLIENT:
            self._hub.metrics.twins["throttled"] += 1
            done(TwinFailure(Fault.THROTTLED, "too many requests for twins wait"))
            return
        self._of_client[key.label] += 1
        self._bytes += size
        self._count += 1
        self._waiting.append(_Request(key, how, done, size))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            batch: list[_Request] = []
            self._thread.run(lambda: self._next(batch), self._perform, lambda error: self._finished(batch, error))

    def _next(self, batch: list[_Request]) -> list[_Request]:
        """In the loop, just before the round: what it carries."""
        while self._waiting and len(batch) < MOST_AT_ONCE:
            batch.append(self._waiting.popleft())
        return batch

    # -- in the store's thread ---------------------------------------------------------------------------------------

    def _perform(self, batch: list[_Request]) -> None:
        changing = any(request.how is not None for request in batch)
        with self._store.changing() if changing else self._store.reading() as twins:
            for request in batch:
                try:
                    request.outcome = self._performed(twins, request)
                except LeafwardError as error:  # its own; a database that refuses is the whole round's
                    request.outcome = self._failure(error)

    def _performed(self, twins: TwinBatch, request: _Request) -> Outcome:
        before = _twin(twins.get(request.key))
        if request.how is None:
            return before
        if not self._registered(request.key):
            return TwinFailure(Fault.DEVICE_NOT_FOUND, f"{request.key.label} is not registered any more")
        changed = request.how(before)
        if isinstance(changed, TwinFailure):
            return changed
        twins.put(request.key, _recorded(changed.after))
        request.change = TwinChange(request.key, before, changed.after, changed.told, changed.reported)
        return changed.after

    # -- in the loop again -------------------------------------------------------------------------------------------

    def _finished(self, batch: list[_Request], error: Exception | None) -> None:
        self._scheduled = False
        if self._waiting:
            self._schedule()
        for request in batch:
            if error is not None or request.outcome is None:
                request.outcome, request.change = TwinFailure(Fault.UNAVAILABLE, "the twins cannot be kept"), None
            try:
                self._noted(request, request.outcome)
            except Exception:  # the next one is told all the same
                logger.exception("a fault of ours: somebody did not take the answer to a request for a twin")

    def _noted(self, request: _Request, outcome: Outcome) -> None:
        """The disk has been asked. A change goes on to `notify` before anybody is told."""
        change = request.change
        if change is None:
            self._tell(request, outcome)
            return
        if change.told is not None:
            self._push(change.key, change.after.desired.version, change.told)
        lost = TwinFailure(Fault.UNAVAILABLE, "the twin is changed, and the notification of it was not kept")
        self.notify(change, lambda error: self._tell(request, outcome if error is None else lost))

    def _tell(self, request: _Request, outcome: Outcome) -> None:
        self._give_back(request)
        kind = "read" if request.how is None else "changed"
        self._hub.metrics.twins[outcome.fault.code if isinstance(outcome, TwinFailure) else kind] += 1
        request.done(outcome)

    def _give_back(self, request: _Request) -> None:
        self._bytes -= request.size
        self._count -= 1
        label = request.key.label
        self._of_client[label] -= 1
        if not self._of_client[label]:
            del self._of_client[label]

    def _push(self, key: TwinKey, version: int, patch: Document) -> None:
        """Tells the client, where it is here and wants to know; one that comes later reads its twin."""
        session = self._hub.broker.find(key.label)
        topic = twin_patch_topic(version)
        if session is None or not session.connected or not session.takes(topic):
            return
        if session.peer.generation_id != key.generation_id:
            return
        sent = session.send(topic, to_json(patch), qos=1)
        self._hub.metrics.twins["told" if sent else "not-told"] += 1

    def _failure(self, error: LeafwardError) -> TwinFailure:
        """What a client may know: nothing of our disk."""
        fault = fault_of(error)
        if fault.status < 500:
            return TwinFailure(fault, str(error))
        if self._budgets.take("twin"):
            logger.error("a twin cannot be read or changed: %s", error)
        return TwinFailure(fault, "the twin cannot be read")


def _twin(record: TwinRecord) -> Twin:
    return Twin(
        Section(record.desired, record.desired_version, record.desired_stamps),
        Section(record.reported, record.reported_version, record.reported_stamps),
        record.tags,
        record.etag,
        record.version,
    )


def _recorded(twin: Twin) -> TwinRecord:
    return TwinRecord(
        twin.desired.values,
        twin.desired.version,
        twin.desired.stamps,
        twin.reported.values,
        twin.reported.version,
        twin.reported.stamps,
        twin.tags,
        twin.etag,
        twin.version,
    )
