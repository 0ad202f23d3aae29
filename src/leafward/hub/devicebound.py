"""Messages to devices: kept until the device has them, or until they are over.

    send -> queue of the device (bounded) -> PUBLISH at QoS 1 -> PUBACK -> completed
                                          -> fetched over HTTPS, locked -> completed, rejected, or free again
         expired, too many attempts, purged: taken out of the queue and told

The queue is the message store's, the delivery a feed's: at least once, in order, across restarts of both sides.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from leafward.errors import InputError
from leafward.hub.devicebound_feedback import Feedback
from leafward.hub.devicebound_ledger import (
    COMPLETED,
    EXPIRED,
    PURGED,
    REJECTED,
    REMOVED,
    TOO_MANY_ATTEMPTS,
    Ledger,
)
from leafward.hub.devicebound_queues import Admission, Registration, Sending, generation_of, message_of, remove
from leafward.hub.devicebound_settings import DeviceBoundTable
from leafward.hub.feeds import FeedSpec
from leafward.hub.hub import Hub
from leafward.hub.log_budget import LogBudgets
from leafward.hub.sessions import Session
from leafward.hub.store_thread import StoreThread
from leafward.store.messages import Message, MessageStore
from leafward.wire.devicebound import DeviceMessage, endpoint_of, expiry_of, topic_of

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message that a device fetched, and the token to settle it with. `attempts`: how often it was delivered."""

    message: Message
    token: str
    attempts: int
    expiry: datetime


class DeviceBound:
    """The queues of one hub. It is a `FeedSource`. For the loop's thread."""

    def __init__(self, hub: Hub, store: StoreThread, terms: DeviceBoundTable) -> None:
        self._hub = hub
        self._store = store
        self._terms = terms
        self._budgets = LogBudgets()
        self._sendings: list[tuple[Sending, asyncio.Future[None]]] = []
        self.ledger = Ledger(hub.metrics.devicebound)
        self.feedback = Feedback(hub.clock)
        self.ledger.told = self.feedback.ended

    def feeds(self, session: Session) -> Iterable[FeedSpec]:
        """See `FeedSource`: a device's queue, for a session that has subscribed to it. Modules have none."""
        peer = session.peer
        granted = session.granted(f"devices/{peer.device_id}/messages/devicebound/")
        if peer.module_id is None and granted is not None:
            generation = peer.generation_id
            yield FeedSpec(
                endpoint_of(peer.device_id),
                granted,
                lambda message: self._topic_of(message, generation),
                self._acknowledged,
            )

    async def send(self, owner: Registration, message: DeviceMessage) -> Sending:
        """Keeps a message for a registered device; its `id` is None where too many wait already.

        Raises `InputError` for an expiry that is past or too far, `StoreError` when it is not kept.
        """
        now = self._hub.clock()
        self._check_expiry(message.expiry, now)
        sending = Sending(owner.device_id, message_of(owner, message, str(uuid.uuid4()), now))
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sendings.append((sending, told))
        if len(self._sendings) == 1:
            self._admit()
        await told
        self._hub.metrics.devicebound["refused" if sending.id is None else "sent"] += 1
        self.feedback.watch(sending, owner)
        return sending

    async def waiting(self, owner: Registration) -> list[Message]:
        """What waits for a device, oldest first. What is over, or was for an earlier registration, goes meanwhile."""
        endpoint, most = endpoint_of(owner.device_id), self._terms.queue
        found = await self._in_store(lambda store: store.pending(endpoint, limit=most))
        return [message for message in found if not self._goes(message, owner.generation_id)]

    async def purge(self, device_id: str) -> int:
        """Takes everything that waits for a device away; how much that was."""
        endpoint = endpoint_of(device_id)

        def take(store: MessageStore) -> list[Message]:
            found = store.pending(endpoint, limit=store.waiting(endpoint))
            remove(store, endpoint, found)
            return found

        return sum(self.ledger.settle(message.id or 0, PURGED) for message in await self._in_store(take))

    async def fetch(self, owner: Registration) -> Fetched | None:
        """The next message for a device that asks over HTTPS, locked; None when there is none."""
        device_id = owner.device_id
        waiting, locked = await self.waiting(owner), self.ledger.locked(device_id)
        for message in waiting:
            assert message.id is not None
            if message.id in locked:
                continue
            if self._topic_of(message, owner.generation_id) is None:
                self._store.acknowledge(endpoint_of(device_id), message.id)
                continue
            token = self.ledger.lock(device_id, message.id, self._terms.lock)
            return Fetched(message, token, self.ledger.attempts(message.id), self.expiry_of(message))
        return None

    async def settle(self, device_id: str, token: str, *, reject: bool = False) -> bool:
        """The device has done with a message that it fetched; durable on return. False for a lock that is lost."""
        message_id = self.ledger.held(device_id, token)
        if message_id is None:
            return False
        await self._in_store(lambda store: store.acknowledge(endpoint_of(device_id), [message_id]))
        self.ledger.settle(message_id, REJECTED if reject else COMPLETED)
        # Not before: meanwhile the device may ask for the next one.
        self.ledger.unlock(device_id, token)
        return True

    def abandon(self, device_id: str, token: str) -> bool:
        """The device gives a message back. False for a lock that is lost."""
        return self.ledger.unlock(device_id, token) is not None

    async def state_of(self, owner: Registration, message_id: int, *, wait: float = 0.0) -> str:
        """What became of a message: "waiting", its end, or "unknown". Waits for its end for so many seconds at most."""
        if (end := self.ledger.end_of(message_id)) is not None:
            return end
        message = next((one for one in await self.waiting(owner) if one.id == message_id), None)
        if message is None:
            return self.ledger.end_of(message_id) or "unknown"
        if not wait:
            return "waiting"
        life = (self.expiry_of(message) - self._hub.clock()).total_seconds()
        await self.ledger.settled(message_id, min(wait, life))
        return await self.state_of(owner, message_id)

    @property
    def lock_seconds(self) -> float:
        """How long a device has for a message that it fetched."""
        return self._terms.lock

    def expiry_of(self, message: Message) -> datetime:
        """When a message is over (UTC)."""
        return expiry_of(message, self._terms.default_life)

    def _topic_of(self, message: Message, generation: str) -> str | None:
        """Asked before each attempt. None for a message that is not to be delivered any more."""
        assert message.id is not None
        if self._is_done(message, generation):
            return None
        if self.ledger.attempt(message.id) > self._terms.deliveries:
            self._give_up(message, TOO_MANY_ATTEMPTS)
            return None
        return topic_of(message.device_id, message)

    def _is_done(self, message: Message, generation: str) -> bool:
        """Whether nobody is to get it any more: it has come to an end, or does now."""
        assert message.id is not None
        if self.ledger.end_of(message.id) is not None:
            return True
        if generation_of(message) != generation:
            self._give_up(message, REMOVED)
        elif self._is_over(message):
            self._give_up(message, EXPIRED)
        else:
            return False
        return True

    def _goes(self, message: Message, generation: str) -> bool:
        """As `_is_done`; then the queue is rid of it."""
        if not self._is_done(message, generation):
            return False
        self._store.acknowledge(endpoint_of(message.device_id), message.id or 0)
        return True

    def _acknowledged(self, message: Message) -> None:
        assert message.id is not None
        self.ledger.settle(message.id, COMPLETED)

    def _give_up(self, message: Message, end: str) -> None:
        assert message.id is not None
        if self.ledger.settle(message.id, end) and self._budgets.take(end):
            name = message.system.get("messageId", "")
            logger.warning("the message %d (%.64r) to %r is given up: %s", message.id, name, message.device_id, end)

    def _is_over(self, message: Message) -> bool:
        return self.expiry_of(message) <= self._hub.clock()

    def _check_expiry(self, expiry: datetime | None, now: datetime) -> None:
        if expiry is None:
            return
        if expiry <= now:
            raise InputError("the message has expired already", why=f"got {expiry}, and it is {now}")
        if expiry > now + self._terms.longest_life:
            why = f"at most {self._terms.longest_time_to_live:g} seconds are allowed"
            raise InputError("the message would wait too long", why=why)

    def _admit(self) -> None:
        """One job for all that is sent until it begins."""
        sent: list[tuple[Sending, asyncio.Future[None]]] = []
        now = self._hub.clock()

        def prepare() -> Admission:
            sent[:], self._sendings = self._sendings, []
            return Admission(
                [one for one, _ in sent], self._terms.queue, lambda message: self.expiry_of(message) <= now
            )

        work: list[Admission] = []

        def perform(admission: Admission) -> None:
            work.append(admission)
            admission.perform(self._store.messages)

        def done(error: Exception | None) -> None:
            for message in work[0].dropped if work else ():
                self._give_up(message, EXPIRED)
            for _, told in sent:
                _tell(told, error)
            self._store.grown({endpoint_of(one.device_id) for one, _ in sent if one.id is not None})

        self._store.run(prepare, perform, done)

    async def _in_store(self, work: Callable[[MessageStore], Result]) -> Result:
        """The result of `work`, done in the store's thread. Raises what it raises."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        results: list[Result] = []
        store = self._store.messages
        self._store.run(lambda: None, lambda _: results.append(work(store)), lambda error: _tell(told, error))
        await told
        return results[0]


def _tell(told: "asyncio.Future[None]", error: Exception | None) -> None:
    # Whoever waited may have gone meanwhile.
    if told.done():
        return
    if error is None:
        told.set_result(None)
    else:
        told.set_exception(error)
