"""Plain topics: from the publisher to everybody whose subscription takes the topic.

QoS 0 goes to whoever is here and keeps up, and is forgotten. QoS 1 and 2 go into each receiver's flow; for a session
that lasts they are on disk before the publisher is told that the hub has them. Messages of one publisher on one topic
reach each receiver in their order, because nothing overtakes in a flow.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

from leafward.hub.flow import Flow
from leafward.hub.journal import PlainJournal
from leafward.hub.log_budget import BURST_OF_A_KIND, EVERY_SECONDS_OF_A_KIND, LogBudget
from leafward.hub.metrics import HubMetrics
from leafward.hub.plain_message import PlainDelivery, PlainMessage, forwarded
from leafward.hub.pressure import Pressure
from leafward.hub.retained import Retained
from leafward.hub.sessions import Session
from leafward.hub.share_group import ShareGroup
from leafward.hub.store_thread import Sender
from leafward.hub.subscription import Subscription
from leafward.hub.target import Target
from leafward.hub.topic_tree import Match, TopicTree
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Publish
from leafward.wire.mqtt.reasons import Reason

logger = logging.getLogger(__name__)

# What `publish` says where the disk comes before the answer.
WHEN_WRITTEN = -1
# What becomes of a message for one client; for several, the highest counts. It is not for a client that is away and
# whose session ends with its connection; too much waits for it; it is sent, or waits; and the disk has to know.
_NOT_FOR_IT, _FULL, _TAKEN, _KEPT = range(4)


class Exchange:
    """All plain topics of a hub. `clock` gives the time in UTC. For the loop's thread."""

    def __init__(
        self,
        journal: PlainJournal,
        retained: Retained,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        pressure: Pressure,
    ) -> None:
        self._journal = journal
        self._retained = retained
        self._metrics = metrics
        self._clock = clock
        self.pressure = pressure
        self._tree = TopicTree()
        metrics.measured["plain_subscriptions"] = lambda: self._tree.count
        metrics.measured["retained_messages"] = lambda: len(retained)
        metrics.measured["retained_bytes"] = lambda: retained.bytes
        metrics.measured["publishers_waiting"] = lambda: len(pressure.waiting)
        self._budget = LogBudget(BURST_OF_A_KIND, EVERY_SECONDS_OF_A_KIND)

    @property
    def subscriptions(self) -> int:
        """How many there are."""
        return self._tree.count

    # -- subscriptions -----------------------------------------------------------------------------------------------

    def subscribe(self, session: Session, topic_filter: str, subscription: Subscription) -> bool:
        """Adds or replaces a subscription that the client may have. Whether it is new."""
        return self._tree.add(session, topic_filter, subscription)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Forgets one."""
        self._tree.remove(session, topic_filter)

    def replay(self, session: Session, topic_filter: str) -> Iterator[None]:
        """Sends the retained messages that a subscription takes, one at each step; it begins at the first (3.3.1-8)."""
        for topic in self._retained.topics(topic_filter):
            subscription, message = session.plain.get(topic_filter), self._retained.get(topic)
            if subscription is not None and message is not None:
                self._to_one(Target.of(session, subscription), message, subscription.qos, retain=True)
            yield

    # -- what an earlier run kept --------------------------------------------------------------------------------

    def restore(self, find: Callable[[str], Session | None]) -> None:
        """Takes back retained messages and what waits for sessions. `find` gives the sessions that there still are."""
        self._retained.restore(self._journal.load_retained())
        for client_id, delivery in self._journal.load_waiting():
            session = find(client_id)
            if session is None or not session.plain or delivery.message.expired(self._clock):
                delivery.arrived()
            elif not session.flow.offer(delivery):
                delivery.arrived()
                self._dropped(session)

        for client_id, packet_id in self._journal.load_received():
            session = find(client_id)
            if session is None:
                self._journal.received(client_id, packet_id, False)
            else:
                session.recall(packet_id)

    def received(self, session: Session, packet_id: int, *, here: bool) -> None:
        """A QoS 2 message of a session that lasts has come, or (not `here`) is released: a restart shall not forget it.

        Kept in one transaction with what has come just before: either both are there after a power cut, or none.
        """
        self._journal.received(session.client_id, packet_id, here)

    def sweep(self) -> None:
        """Forgets retained messages whose time is over."""
        self._retained.sweep()

    # -- messages ----------------------------------------------------------------------------------------------------

    def publish(self, source: Session | None, packet: Publish, *, strict: bool = False) -> int:
        """A message on a plain topic, from a client that may publish there; `source` is None for the hub itself.

        The reason code of its acknowledgement, or `WHEN_WRITTEN`: then that follows `when_written`. Where there is no
        room to retain it, it goes out and is not retained; with `strict`, for a publisher that can be told so, it is
        refused. So is then one for which nobody that should get it has room.
        """
        self._metrics.plain_in += 1
        match = self._tree.match(packet.topic)
        if not packet.qos and not packet.retain and packet.properties is None:
            self._at_most_once(source, packet, match)
            return Reason.SUCCESS
        if packet.qos == 1 and not packet.retain and packet.properties is None:
            message, retained = PlainMessage(packet.topic, packet.payload, 1, retain=False), False
            became = self._at_least_once(source, message, match)
        else:
            message, retained = self._message(packet), False
            if packet.retain:
                retained = self._retained.put(message)
                if not retained:
                    self._metrics.dropped["retained-full"] += 1
                    if strict:
                        return Reason.QUOTA_EXCEEDED
            became = self._to_all(source, message, match)
        if retained or became == _KEPT:
            return WHEN_WRITTEN
        if became == _FULL and strict:
            return Reason.QUOTA_EXCEEDED
        return Reason.SUCCESS if match else Reason.NO_MATCHING_SUBSCRIBERS

    def when_written(self, sender: Sender, token: int) -> bool:
        """`sender.stored(token)` follows when all until now is on disk. False: no more until `sender.room_again()`."""
        return self._journal.when_written(sender, token)

    def forget(self, sender: Sender) -> None:
        """The sender is gone."""
        self._journal.forget(sender)

    def _message(self, packet: Publish) -> PlainMessage:
        if packet.properties is None:
            return PlainMessage(packet.topic, packet.payload, packet.qos, retain=packet.retain)
        properties, expires = forwarded(packet.properties), None
        if properties is not None and properties.message_expiry_interval is not None:
            expires = self._clock().timestamp() + properties.message_expiry_interval
        return PlainMessage(
            packet.topic, packet.payload, packet.qos, retain=packet.retain, properties=properties, expires=expires
        )

    def _at_most_once(self, source: Session | None, packet: Publish, match: Match) -> None:
        """The common case: nothing to remember, one writing for all."""
        written: dict[int, bytes] = {}
        for target in match.targets:
            session = target.session
            terms, receiver = session.terms, session.flow.receiver
            if terms is None or receiver is None or (session is source and target.own < 0):
                continue
            if not (receiver.writable or receiver.roomy):
                self._metrics.dropped["slow-reader"] += 1
            elif target.identifiers or not terms.alike:
                self._send_once(target, self._message(packet), retain=False)
            else:
                data = written.get(terms.level)
                if data is None:
                    data = written[terms.level] = encode(packet, terms.level)
                receiver.send(data)
                self._metrics.plain_out += 1
        for group in match.groups:
            self._to_group(group, self._message(packet))

    def _at_least_once(self, source: Session | None, message: PlainMessage, match: Match) -> int:
        """As `_to_all` of a message of QoS 1, in fewer steps to clients that are here and keep up."""
        became = _NOT_FOR_IT
        for target in match.targets:
            session = target.session
            granted = target.own if session is source else target.qos
            if granted > 0 and not session.expiry and session.flow.send_now(message, target.identifiers):
                became = max(became, _TAKEN)
            elif granted >= 0:
                became = max(became, self._to_one(target, message, granted, retain=False, source=source))
        for group in match.groups:
            became = max(became, self._to_group(group, message, source))
        return became

    def _to_all(self, source: Session | None, message: PlainMessage, match: Match) -> int:
        """What became of it."""
        became = _NOT_FOR_IT
        for target in match.targets:
            granted = target.own if target.session is source else target.qos
            if granted >= 0:
                retain = message.retain and target.retain_as_published
                became = max(became, self._to_one(target, message, granted, retain=retain, source=source))
        for group in match.groups:
            became = max(became, self._to_group(group, message, source))
        return became

    def _to_group(self, group: ShareGroup, message: PlainMessage, source: Session | None = None) -> int:
        target = group.pick(waits=message.qos > 0)
        if target is None:
            return _NOT_FOR_IT
        retain = message.retain and target.retain_as_published
        return self._to_one(target, message, target.qos, retain=retain, source=source, group=group)

    def _to_one(
        self,
        target: Target,
        message: PlainMessage,
        granted: int,
        *,
        retain: bool,
        source: Session | None = None,
        group: ShareGroup | None = None,
    ) -> int:
        session, qos = target.session, min(message.qos, granted)
        if not qos:
            self._send_once(target, message, retain=retain)
            return _TAKEN
        lasting, flow = session.expiry > 0, session.flow
        if flow.receiver is None and not lasting:
            return _NOT_FOR_IT
        delivery = PlainDelivery(
            message,
            qos,
            retain=retain,
            identifiers=target.identifiers,
            journal=self._journal if lasting else None,
            again=None if group is None or qos == 2 else lambda delivery: self._again(group, delivery),
        )
        if lasting:
            self._journal.keep(delivery, session.client_id)
        taken = flow.offer(delivery)
        if flow.tight and flow.receiver is not None and not flow.given_up and source is not None:
            self._press(source, flow)
        if taken:
            return _KEPT if lasting else _TAKEN
        delivery.arrived()
        self._dropped(session)
        return _FULL

    def _press(self, source: Session, slow: Flow) -> None:
        """Its publishers wait for a slow client; but not for itself, whose acknowledgements they read."""
        if source.publisher is not None and source.flow is not slow:
            self.pressure.press(source.publisher, slow)

    def _send_once(self, target: Target, message: PlainMessage, *, retain: bool) -> None:
        receiver, terms = target.session.flow.receiver, target.session.terms
        if receiver is None or terms is None:
            return
        if not (receiver.writable or receiver.roomy):
            self._metrics.dropped["slow-reader"] += 1
            return
        data = message.packet(0, terms, retain=retain, identifiers=target.identifiers)
        if data is None:
            self._metrics.dropped["too-large-or-late"] += 1
            return
        receiver.send(data)
        self._metrics.plain_out += 1

    def _again(self, group: ShareGroup, delivery: PlainDelivery) -> None:
        """A member's session ended with a message of the group that it did not acknowledge: another gets it (4.8.2)."""
        self._to_group(group, delivery.message)

    def _dropped(self, session: Session) -> None:
        """Too much waits for it: the newest is dropped, and told."""
        self._metrics.dropped["queue-full"] += 1
        if self._budget.take():
            logger.warning(
                "%r does not keep up: a message is dropped, %d wait for it",
                session.client_id,
                len(session.flow.waiting),
            )
