"""The links of services: messages to devices, and what became of them."""

import asyncio
import json
import logging
from typing import Any

from proton import Delivery

from leafward.errors import InputError, LeafwardError, StoreError
from leafward.hub.amqp.links import (
    INTERNAL_ERROR,
    INVALID_FIELD,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT,
    TOO_LARGE,
    AmqpLink,
    Room,
)
from leafward.hub.amqp.parts import AmqpParts
from leafward.hub.devicebound_queues import Registration
from leafward.wire.amqp_addresses import parse_destination
from leafward.wire.amqp_messages import ENQUEUED_TIME, AmqpContent, device_message_of
from leafward.wire.devicebound import MAX_MESSAGE

logger = logging.getLogger(__name__)

# Messages that a service may have under way: each is one request to the message store, and these share transactions.
WINDOW = 64
_ACCEPTED = int(Delivery.ACCEPTED)


class ToDevices(Room):
    """`/messages/devicebound`: each message names its device in `to`; accepted once it is durable."""

    def __init__(self, link: AmqpLink, parts: AmqpParts) -> None:
        super().__init__(link)
        self._parts = parts
        self._sending: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """See `Room`."""
        self.link.top_up(WINDOW, 0)

    def message(self, delivery: Any, content: AmqpContent) -> None:
        """See `Room`."""
        task = asyncio.get_running_loop().create_task(self._send(delivery, content))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        self.link.top_up(WINDOW, len(self._sending))

    async def _send(self, delivery: Any, content: AmqpContent) -> None:
        try:
            await self._sent_to(delivery, content)
        except StoreError:
            self.link.release(delivery)
        except InputError as error:
            self.link.reject(delivery, INVALID_FIELD, str(error))
        except LeafwardError as error:
            self.link.reject(delivery, INTERNAL_ERROR, error.what)
        except Exception:
            logger.exception("a fault of ours: a message to a device")
            self.link.reject(delivery, INTERNAL_ERROR, "internal error")

    async def _sent_to(self, delivery: Any, content: AmqpContent) -> None:
        device_id, module_id = parse_destination(content.to)
        if module_id is not None:
            self.link.reject(delivery, NOT_IMPLEMENTED, "modules get no messages of this kind here: they have inputs")
            return
        generation = self._parts.generation_of(device_id)
        if generation is None:
            self.link.reject(delivery, NOT_FOUND, f"the device {device_id} is not registered")
            return
        if len(content.body) > MAX_MESSAGE:
            why = f"the message has {len(content.body)} bytes, at most {MAX_MESSAGE} are taken"
            self.link.reject(delivery, TOO_LARGE, why)
            return
        owner, message = Registration(device_id, generation), device_message_of(content)
        sending = await self._parts.devicebound.send(owner, message)
        if sending.id is None:
            self.link.reject(delivery, RESOURCE_LIMIT, "too many messages wait for this device")
        else:
            self.link.accept(delivery)


class FeedbackLink(Room):
    """`/messages/serviceBound/feedback`: what became of messages whose senders wanted to know, some at a time."""

    def __init__(self, link: AmqpLink, parts: AmqpParts) -> None:
        super().__init__(link)
        self._parts = parts
        self._under_way: dict[Any, int] = {}
        self._stop = parts.feedback.listen(self.writable)

    def writable(self) -> None:
        """See `Room`; also called when there is more."""
        while self.link.credit > 0 and (taken := self._parts.feedback.take()) is not None:
            token, records = taken
            content = AmqpContent(
                json.dumps(records, separators=(",", ":")).encode(),
                content_type="application/vnd.microsoft.iothub.feedback.json",
                content_encoding="utf-8",
                user_id=self._parts.host.encode(),
                annotations={ENQUEUED_TIME: self._parts.hub.clock()},
            )
            delivery = self.link.send(content)
            if delivery is None:
                self._parts.feedback.back(token)
                return
            self._under_way[delivery] = token

    def outcome(self, delivery: Any, state: int) -> None:
        """Accepted: done with. Released or rejected: once more, to whoever asks next."""
        token = self._under_way.pop(delivery, None)
        if token is not None:
            (self._parts.feedback.done if state == _ACCEPTED else self._parts.feedback.back)(token)
        self.link.settled(delivery)

    def closed(self) -> None:
        """See `Room`."""
        self._stop()
        under_way, self._under_way = self._under_way, {}
        for token in under_way.values():
            self._parts.feedback.back(token)
