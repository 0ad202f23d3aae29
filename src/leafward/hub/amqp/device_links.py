"""The links of devices and modules: telemetry in, messages to the device out, the inputs of modules out."""

import asyncio
import logging
from collections import deque
from typing import Any

from proton import Delivery

from leafward.errors import InputError, LeafwardError
from leafward.hub.amqp.links import INVALID_FIELD, AmqpLink, Room
from leafward.hub.amqp.parts import AmqpParts
from leafward.hub.amqp.seats import Seat
from leafward.hub.devicebound import Fetched
from leafward.hub.devicebound_queues import Registration, without_marks
from leafward.wire.amqp_messages import AmqpContent, content_for_device, content_for_input, telemetry_of
from leafward.wire.devicebound import endpoint_of
from leafward.wire.mqtt.packets import Publish
from leafward.wire.percent import percent_decoded
from leafward.wire.property_bag import CONNECTION_DEVICE, CONNECTION_MODULE, read_pairs, split_system

logger = logging.getLogger(__name__)

# Seconds after its lock has ended at which a message is sent again.
_GRACE = 0.1
# Messages that one link may have and not have settled.
MOST_OUT = 32
_ACCEPTED = int(Delivery.ACCEPTED)
_REJECTED = int(Delivery.REJECTED)


class Telemetry(Room):
    """`…/messages/events`: accepted once it is durable. It is the `Sender` that waits for that."""

    def __init__(self, link: AmqpLink, parts: AmqpParts, seat: Seat) -> None:
        super().__init__(link)
        self._parts = parts
        self._seat = seat
        self._waiting: dict[int, Any] = {}
        self._token = 0
        self._full = False
        seat.enter(self)

    def begin(self) -> None:
        """See `Room`."""
        self._top_up()

    def message(self, delivery: Any, content: AmqpContent) -> None:
        """See `Room`."""
        peer = self._seat.peer
        try:
            parsed = telemetry_of(content, module=peer.module_id is not None)
        except InputError as error:
            self.link.reject(delivery, INVALID_FIELD, str(error))
            self._top_up()
            return
        self._token += 1
        self._waiting[self._token] = delivery
        more = self._parts.hub.intake.take(
            peer,
            content.body,
            self,
            self._token,
            output=parsed.output,
            properties=parsed.properties,
            system=parsed.system,
        )
        self._full = self._full or not more

    def closed(self) -> None:
        """See `Room`. What is taken is kept; nobody is told."""
        self._parts.hub.intake.forget(self)
        self._seat.out(self)

    def stored(self, token: int) -> None:
        """Durable."""
        self.link.accept(self._waiting.pop(token))
        self._top_up()

    def not_stored(self, token: int, error: Exception) -> None:
        """Not kept: the device sends it again."""
        self.link.release(self._waiting.pop(token))
        self._top_up()

    def room_again(self) -> None:
        """The disk takes messages again."""
        self._full = False
        self._top_up()

    def _top_up(self) -> None:
        if not self._full:
            self.link.top_up(self._parts.terms.unsettled, len(self._waiting))


class Inbox(Room):
    """`…/messages/devicebound`: fetched and locked as over HTTPS. Accepted completes a message, rejected rejects it,
    anything else gives it back, as does the end of the link."""

    def __init__(self, link: AmqpLink, parts: AmqpParts, seat: Seat) -> None:
        super().__init__(link)
        self._parts = parts
        self._seat = seat
        self._owner = Registration(seat.peer.device_id, seat.peer.generation_id)
        self._sent: dict[Any, str] = {}
        self._fetching = False
        self._again = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = parts.wake_for(endpoint_of(self._owner.device_id), self.writable)
        seat.enter(self)

    def begin(self) -> None:
        """See `Room`."""
        self.writable()

    def writable(self) -> None:
        """See `Room`; also called when there is more."""
        if self._fetching:
            self._again = True
        elif self._has_room():
            self._fetching = True
            self._run(self._fetch())

    def outcome(self, delivery: Any, state: int) -> None:
        """See `Room`."""
        token = self._sent.pop(delivery, None)
        if token is None:
            self.link.settled(delivery)
        elif state in (_ACCEPTED, _REJECTED):
            self._run(self._settle(delivery, token, reject=state == _REJECTED))
        else:
            self._parts.devicebound.abandon(self._owner.device_id, token)
            self.link.settled(delivery)
            self.writable()

    def closed(self) -> None:
        """See `Room`."""
        self._stop()
        self._seat.out(self)
        sent, self._sent = self._sent, {}
        for token in sent.values():
            self._parts.devicebound.abandon(self._owner.device_id, token)
        if sent:
            self._parts.grown({endpoint_of(self._owner.device_id)})

    def _has_room(self) -> bool:
        return self.link.open and self.link.credit > 0 and len(self._sent) < MOST_OUT

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self) -> None:
        try:
            while self._has_room():
                self._again = False
                fetched = await self._parts.devicebound.fetch(self._owner)
                if fetched is None and not self._again:
                    return
                if fetched is not None and not self._send(fetched):
                    return
        except LeafwardError as error:
            logger.error("messages to %s cannot be fetched: %s", self._owner.device_id, error)
        finally:
            self._fetching = False

    def _send(self, fetched: Fetched) -> bool:
        content = content_for_device(without_marks(fetched.message), fetched.attempts, fetched.expiry)
        delivery = self.link.send(content)
        if delivery is None:
            self._parts.devicebound.abandon(self._owner.device_id, fetched.token)
            return False
        self._sent[delivery] = fetched.token
        self._parts.hub.metrics.messages_out += 1
        seconds = self._parts.devicebound.lock_seconds + _GRACE
        asyncio.get_running_loop().call_later(seconds, self._lock_over, delivery, fetched.token)
        return True

    def _lock_over(self, delivery: Any, token: str) -> None:
        """The device has had its time: the message goes out once more."""
        if self._sent.get(delivery) == token:
            del self._sent[delivery]
            self.writable()

    async def _settle(self, delivery: Any, token: str, *, reject: bool) -> None:
        try:
            await self._parts.devicebound.settle(self._owner.device_id, token, reject=reject)
        except LeafwardError as error:
            logger.error("a message to %s cannot be settled: %s", self._owner.device_id, error)
            return
        self.link.settled(delivery)
        self.writable()


class Inputs(Room):
    """`…/messages/events` of a module, the other way: what routes lead to its inputs."""

    def __init__(self, link: AmqpLink, seat: Seat) -> None:
        super().__init__(link)
        self._seat = seat
        peer = seat.peer
        self._prefix = f"devices/{peer.device_id}/modules/{peer.module_id}/inputs/"
        self._waiting: deque[tuple[AmqpContent, int]] = deque()
        self._sent: dict[Any, tuple[AmqpContent, int]] = {}
        seat.enter(self, self)

    def begin(self) -> None:
        """See `Room`. From here on the broker feeds the session."""
        self._seat.subscribe(f"{self._prefix}#", qos=1)

    def published(self, packet: Publish) -> bool:
        """See `Listener`."""
        if not packet.topic.startswith(self._prefix):
            return False
        self._waiting.append((self._content(packet), packet.packet_id or 0))
        self.writable()
        return True

    def writable(self) -> None:
        """See `Room`."""
        while self._waiting and self.link.credit > 0:
            one = self._waiting.popleft()
            delivery = self.link.send(one[0])
            if delivery is None:
                self._waiting.appendleft(one)
                return
            self._sent[delivery] = one

    def outcome(self, delivery: Any, state: int) -> None:
        """See `Room`. Released: once more, on this link."""
        one = self._sent.pop(delivery, None)
        self.link.settled(delivery)
        if one is None:
            return
        if state in (_ACCEPTED, _REJECTED):
            self._seat.acknowledged(one[1])
        else:
            self._waiting.appendleft(one)
            self.writable()

    def closed(self) -> None:
        """See `Room`. What is not acknowledged is in the store still."""
        self._seat.out(self, self)
        self._seat.unsubscribe(f"{self._prefix}#")

    def _content(self, packet: Publish) -> AmqpContent:
        name, _, bag = packet.topic[len(self._prefix) :].partition("/")
        properties, system, _ = split_system(read_pairs(bag), with_origin=True)
        origin = (system.pop(CONNECTION_DEVICE, ""), system.pop(CONNECTION_MODULE, ""))
        return content_for_input(percent_decoded(name, "input"), properties, system, origin, packet.payload)
