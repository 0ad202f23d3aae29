"""The one thread that touches the message store, in rounds: group commit without a task or a future per message.

While a round is on disk the loop goes on collecting; the next round takes all that has come: appended messages in one
durable transaction, then acknowledgements, then reads. Where the store is over its limits, each round makes some room.
The busier the hub, the larger the batch. What waits is bounded in bytes: senders that find the queue full stop reading
from their peers and are called when there is room again.

    loop:    append append acknowledge ... | append append ... | ...
    thread:            [ round 1 ]         [ round 2 ]         [ round 3 ]
"""

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from leafward.errors import LeafwardError, StoreError
from leafward.hub.log_budget import LogBudgets
from leafward.hub.metrics import HubMetrics
from leafward.store.messages import Message, MessageStore, StoreLimits

logger = logging.getLogger(__name__)

# Counted for each message beside its body, and for each of its properties beside its text: the row, the Python objects.
MESSAGE_OVERHEAD = 512
PROPERTY_OVERHEAD = 256


class Sender(Protocol):
    """Who waits until a message is durable. `token` is the sender's own, given back as it was."""

    def stored(self, token: int) -> None: ...
    def not_stored(self, token: int, error: Exception) -> None: ...
    def room_again(self) -> None: ...


Prepared = TypeVar("Prepared")
ReadDone = Callable[[list[Message]], None]
# Told the error of a job, or None when it is done.
JobDone = Callable[[Exception | None], None]


@dataclass(slots=True)
class _Job:
    """Work of others in the store's thread: prepared in the loop's, done in the thread, told in the loop's."""

    prepare: Callable[[], Any]
    work: Callable[[Any], object]
    done: JobDone | None
    prepared: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class _Read:
    """A question to the store, and its answer."""

    endpoint: str
    after: int
    limit: int
    done: ReadDone
    answer: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class _Round:
    """What one trip to the thread carries, and what it brings back."""

    messages: list[tuple[Message, Collection[str]]] = field(default_factory=list)
    senders: list[tuple[Sender, int]] = field(default_factory=list)
    size: int = 0
    acknowledged: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    moves: list[tuple[str, str, int]] = field(default_factory=list)
    reads: list[_Read] = field(default_factory=list)
    jobs: list[_Job] = field(default_factory=list)
    append_error: Exception | None = None
    # Whether the store's room was looked at; too much is left; none of that may be dropped; some of it was.
    looked: bool = False
    over: bool = False
    no_room: bool = False
    dropped: bool = False

    def __bool__(self) -> bool:
        return bool(self.messages or self.acknowledged or self.moves or self.reads or self.jobs)


class StoreThread:
    """Appends, acknowledges and reads messages off the loop. All methods are for the loop's thread only.

    `grown` is called after a durable append with the endpoints that got something.
    """

    def __init__(
        self,
        store: MessageStore,
        metrics: HubMetrics,
        *,
        queue_bytes: int,
        batch_size: int,
        keep: StoreLimits | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """`keep`: how much stays in the store, None for any. With `clock`, what is over by then is not read."""
        self._store = store
        self._keep = keep
        self._clock = clock
        # More is kept than may be; and nothing of it may be dropped.
        self._tight = False
        self._no_room = False
        self._sweeping = False
        if keep is not None:
            metrics.store_dropped = store.dropped
        self._metrics = metrics
        self._queue_bytes = queue_bytes
        self._batch_size = batch_size
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub-store")
        self._loop = asyncio.get_running_loop()
        self._next = _Round()
        self._backlog: deque[_Round] = deque()
        self._queued = 0
        self._busy = False
        self._scheduled = False
        self._waiting: set[Sender] = set()
        # A disk that is full fails every round, and the log may be on the same disk.
        self._budgets = LogBudgets()
        self._idle = asyncio.Event()
        self._idle.set()
        self.grown: Callable[[set[str]], None] = lambda _endpoints: None

    @property
    def full(self) -> bool:
        """More bytes wait for the disk than may."""
        return self._queued >= self._queue_bytes

    @property
    def messages(self) -> MessageStore:
        """The store itself, for the work of a job: in the thread only."""
        return self._store

    def append(self, message: Message, endpoints: Collection[str], sender: Sender, token: int) -> bool:
        """Queues a message; `sender.stored(token)` follows when it is durable.

        Returns False when the queue is full now: the message is taken, and `sender.room_again()` will be called when
        the sender may go on. Where the store is full and nothing in it may be dropped, the message is not taken:
        `sender.not_stored` is called at once.
        """
        if self._no_room:
            sender.not_stored(token, StoreError("the message store is full", hint="hub.limits.store_bytes"))
            return True
        cost = _cost(message)
        self._next.messages.append((message, endpoints))
        self._next.senders.append((sender, token))
        self._next.size += cost
        self._queued += cost
        if len(self._next.messages) >= self._batch_size:
            self._backlog.append(self._next)
            self._next = _Round()
        self._schedule()
        if not self.full:
            return True
        self._waiting.add(sender)
        return False

    def acknowledge(self, endpoint: str, message_id: int) -> None:
        """The endpoint has the message: it need not be kept for it."""
        self._next.acknowledged[endpoint].append(message_id)
        self._schedule()

    def move(self, endpoint: str, other: str, message_id: int) -> None:
        """The message waits for `other` instead."""
        self._next.moves.append((endpoint, other, message_id))
        self._schedule()

    def read(self, endpoint: str, after: int, limit: int, done: ReadDone) -> None:
        """Calls `done` with at most `limit` messages pending for the endpoint, later than id `after`, oldest first."""
        self._next.reads.append(_Read(endpoint, after, limit, done))
        self._schedule()

    def run(
        self, prepare: Callable[[], Prepared], work: Callable[[Prepared], object], done: JobDone | None = None
    ) -> None:
        """Runs `work` in the store's thread, in the next round, with what `prepare` gave in the loop's thread just
        before that round. A failure is logged, and told to `done`."""
        self._next.jobs.append(_Job(prepare, work, done))
        self._schedule()

    def sweep(self) -> None:
        """Drops what is over, too old or too much: a little in each round, until nothing is left to do."""
        if self._keep is None or self._clock is None or self._sweeping:
            return
        self._sweeping = True
        now, keep, done = self._clock(), self._keep, [0]

        def step(_nothing: None) -> None:
            done[0] = self._store.room.step(now, keep)
            self._metrics.store_bytes = self._store.room.used()

        def told(error: Exception | None) -> None:
            self._sweeping = error is None and done[0] > 0
            if self._sweeping:
                self.run(lambda: None, step, told)

        self.run(lambda: None, step, told)

    def forget(self, sender: Sender) -> None:
        """The sender is gone: do not call it for room."""
        self._waiting.discard(sender)

    async def drain(self) -> None:
        """Returns when everything queued so far, and what that led to, is done."""
        await self._idle.wait()

    async def close(self) -> None:
        """Drains, then closes the store."""
        await self.drain()
        await self._loop.run_in_executor(self._executor, self._store.close)
        self._executor.shutdown(wait=True)

    def _schedule(self) -> None:
        # At the end of the tick, so that everything one tick brings shares a transaction.
        if not self._scheduled and not self._busy:
            self._scheduled = True
            self._idle.clear()
            self._loop.call_soon(self._start_round)

    def _start_round(self) -> None:
        self._scheduled = False
        if self._backlog:
            current = self._backlog.popleft()
        else:
            current, self._next = self._next, _Round()
        self._busy = True
        for job in current.jobs:
            try:
                job.prepared = job.prepare()
            except Exception as error:  # it must not cost the round that others wait for
                job.error = error
        performing = self._loop.run_in_executor(self._executor, self._perform, current)
        performing.add_done_callback(lambda future: self._finish(current, future))

    def _perform(self, current: _Round) -> None:
        """In the thread. A failure stays in its own part of the round."""
        if current.messages:
            try:
                self._store.append(current.messages)
            except Exception as error:  # whatever a database driver raises reaches its senders
                current.append_error = error
        for endpoint, ids in current.acknowledged.items():
            with _logged("cannot acknowledge messages"):
                self._store.acknowledge(endpoint, ids)
        for endpoint, other, message_id in current.moves:
            with _logged("cannot set a message aside"):
                self._store.move(endpoint, other, [message_id])
        now = None if self._clock is None else self._clock()
        for read in current.reads:
            with _logged("cannot read pending messages"):
                read.answer = list(self._store.pending(read.endpoint, after=read.after, limit=read.limit, now=now))
        for job in current.jobs:
            try:
                if job.error is None:
                    job.work(job.prepared)
            except Exception as error:
                job.error = error
        if self._keep is not None and (current.messages or self._tight):
            current.looked = True
            with _logged("cannot make room for messages"):
                self._make_room(current, self._keep)

    def _make_room(self, current: _Round, keep: StoreLimits) -> None:
        """In the thread: at least as much as a round brings, in one short transaction."""
        before = self._store.dropped["full"]
        made = self._store.room.make_room(keep, 2 * len(current.messages))
        current.dropped = self._store.dropped["full"] > before
        current.over = self._store.room.is_over(keep)
        current.no_room = current.over and not made

    def _finish(self, current: _Round, future: "asyncio.Future[None]") -> None:
        """Tells everybody, one after the other: whatever one of them raises, the next is told and the work goes on."""
        try:
            self._busy = False
            self._queued -= current.size
            if (error := future.exception()) is not None and current.append_error is None:
                current.append_error = RuntimeError(f"the round failed: {error!r}")
            self._tell_senders(current)
            for read in current.reads:
                with _logged(_FAULT):
                    read.done(read.answer)
            for job in current.jobs:
                _tell(job)
            self._note_room(current)
            self._tell_room()
        finally:
            if self._backlog or self._next:
                self._schedule()
            elif not self._scheduled:
                self._idle.set()

    def _tell_senders(self, current: _Round) -> None:
        if not current.messages:
            return
        if current.append_error is not None:
            self._metrics.store_failures += 1
            if self._budgets.take("append"):
                logger.error("%d messages are not kept: %s", len(current.messages), current.append_error)
            for sender, token in current.senders:
                with _logged(_FAULT):
                    sender.not_stored(token, current.append_error)
            return
        self._metrics.batches += 1
        self._metrics.batched_messages += len(current.messages)
        for sender, token in current.senders:
            try:
                sender.stored(token)
            except Exception:
                logger.exception(_FAULT)
        with _logged(_FAULT):
            self.grown({endpoint for _message, endpoints in current.messages for endpoint in endpoints})

    def _note_room(self, current: _Round) -> None:
        if not current.looked:
            return
        if current.no_room and not self._no_room:
            logger.error("the message store is full, and nothing may be dropped: new messages are refused")
        if current.dropped and self._budgets.take("dropped"):
            logger.warning("the message store is full: messages that somebody waited for are dropped")
        self._tight, self._no_room = current.over, current.no_room
        if current.over and not current.no_room:
            self.run(lambda: None, lambda _nothing: None)  # the next round makes more

    def _tell_room(self) -> None:
        if self._waiting and self._queued <= self._queue_bytes // 2:
            waiting, self._waiting = self._waiting, set()
            for sender in waiting:
                with _logged(_FAULT):
                    sender.room_again()


_FAULT = "a fault of ours: somebody did not take the message store's answer"


def _cost(message: Message) -> int:
    """The bytes that a waiting message is counted as: its properties may be larger than its body."""
    cost = len(message.body) + len(message.output or "") + MESSAGE_OVERHEAD
    for properties in (message.properties, message.system):
        if properties:
            cost += sum(map(len, properties)) + sum(map(len, properties.values())) + PROPERTY_OVERHEAD * len(properties)
    return cost


def _tell(job: _Job) -> None:
    if job.error is not None:
        logger.error("a job of the message store failed: %s", job.error, exc_info=_unforeseen(job.error))
    if job.done is not None:
        with _logged(_FAULT):
            job.done(job.error)


def _unforeseen(error: Exception) -> Exception | None:
    """The error where its traceback says more than its text."""
    return None if isinstance(error, LeafwardError) else error


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except LeafwardError as error:
        logger.error("%s: %s", what, error)
    except Exception:
        logger.exception(what)
