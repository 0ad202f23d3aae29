"""Upstream: what waits in the store for it goes there, in order, at least once; for ever tried again.

    store --read, a window at a time--> link --PUBLISH--> server --PUBACK--> acknowledge in the store

A message is acknowledged in the store only after the server has it: whatever is killed or cut in between, it is sent
again. Queues of a better priority are read first; within one the order of the store is kept, so the order of each
device is. On a new connection everything that was not acknowledged goes out again from its beginning.

A message that the server refuses, or that nobody can send, is set aside, told, and blocks nobody.
"""

import logging
from collections.abc import Iterable

from leafward.errors import LeafwardError, PeerUnavailable
from leafward.hub.log_budget import LogBudgets
from leafward.hub.metrics import HubMetrics
from leafward.hub.store_thread import StoreThread
from leafward.hub.upstream_link import UpstreamLink
from leafward.hub.upstream_suspect import Suspect
from leafward.store.messages import REFUSED, UPSTREAM, Message
from leafward.wire.mqtt.reasons import Reason
from leafward.wire.routes import rank_of_queue
from leafward.wire.upstream import Form

logger = logging.getLogger(__name__)

# Refusals that are about now and not about the message: the connection is made anew, later.
BUSY = frozenset([Reason.QUOTA_EXCEEDED, Reason.SERVER_BUSY, Reason.MESSAGE_RATE_TOO_HIGH, Reason.SERVER_UNAVAILABLE])


class Forwarder:
    """Sends by one link after the other; it is the link's receiver. For the loop's thread.

    `queues`: those that lead upstream and that there are at the start; others are learnt when something is put there.
    """

    def __init__(self, store: StoreThread, queues: Iterable[str], metrics: HubMetrics, *, attempts: int) -> None:
        """`attempts`: how often a message may end the connection before it is set aside."""
        self._store = store
        self._metrics = metrics
        self._budgets = LogBudgets()
        self._suspect = Suspect(attempts)
        # By queue, the best priority first: the last id that was read for this link, and whether there may be more.
        self._after: dict[str, int] = {}
        self._more: dict[str, bool] = {}
        # Of each message that is sent and not acknowledged.
        self._queue_of: dict[int, str] = {}
        self._reading = False
        self._paused = False
        self._link: UpstreamLink | None = None
        self._form: Form | None = None
        self._chained = store.grown
        store.grown = self._grown
        for queue in queues:
            self._learn(queue)

    @property
    def in_flight(self) -> int:
        """Messages sent and not acknowledged."""
        return len(self._queue_of)

    def attach(self, link: UpstreamLink, form: Form) -> None:
        """A connection stands: everything that is not acknowledged goes out on it."""
        self._link, self._form, self._paused = link, form, False
        self._queue_of.clear()
        self.look_again()

    def detach(self, *, by_server: bool) -> None:
        """The connection is over. `by_server`: it ended it, perhaps because of what we sent."""
        link, self._link = self._link, None
        unanswered = [] if link is None else link.in_flight
        if by_server and unanswered:
            queue = self._queue_of[unanswered[0]]
            poison = self._suspect.ended(unanswered, queue)
            if poison is not None:
                self._set_aside(queue, poison, "the server ends the connection whenever it comes")
        self._queue_of.clear()

    def look_again(self) -> None:
        """Looks at every queue from its beginning; what is in flight is not sent twice."""
        self._after = dict.fromkeys(self._after, 0)
        self._more = dict.fromkeys(self._more, True)
        self.pump()

    def finish(self) -> None:
        """Sends nothing new, and ends the connection in peace once all that is in flight has been acknowledged."""
        self._paused = True
        self._finished()

    def pump(self) -> None:
        """Reads and sends more, if there is room and something may wait."""
        link = self._link
        if link is None or self._reading or self._paused:
            return
        room = self._suspect.room(link.room, self.in_flight)
        # A trip to the store for a few messages is not worth it while many are under way.
        if room <= 0 or room < self.in_flight // 4:
            return
        queue = self._suspect.queue or next((name for name, more in self._more.items() if more), None)
        if queue is None:
            return
        self._reading = True
        self._store.read(queue, self._after[queue], room, lambda found: self._arrived(link, queue, found, room))

    # -- the link's side ---------------------------------------------------------------------------------------------

    def acknowledged(self, number: int) -> None:
        """The server has the message."""
        self._store.acknowledge(self._queue_of.pop(number), number)
        self._metrics.upstream_forwarded += 1
        self._suspect.arrived(number)
        self._finished()

    def refused(self, number: int, reason: int, why: str) -> None:
        """The server has said no to a message."""
        if reason in BUSY:
            if self._link is not None:
                self._link.end(PeerUnavailable("upstream takes no more just now", why=why))
            return
        self._set_aside(self._queue_of.pop(number), number, f"the server refuses it: {why}")
        self._suspect.arrived(number)
        self._finished()

    def room_again(self) -> None:
        """Acknowledgements have made room."""
        self.pump()

    # -- the store's side --------------------------------------------------------------------------------------------

    def _grown(self, endpoints: set[str]) -> None:
        self._chained(endpoints)
        for queue in endpoints:
            if queue.startswith(UPSTREAM):
                self._learn(queue)
        self.pump()

    def _learn(self, queue: str) -> None:
        """Something may wait in this queue."""
        if queue == REFUSED:
            return
        if queue not in self._more:
            self._after[queue] = 0
            names = sorted([*self._more, queue], key=rank_of_queue)
            self._more = {name: self._more.get(name, True) for name in names}
        self._more[queue] = True

    def _arrived(self, link: UpstreamLink, queue: str, found: list[Message], asked: int) -> None:
        self._reading = False
        if link is self._link:
            if len(found) < asked:
                self._more[queue] = False
            if queue == self._suspect.queue:
                self._suspect.first(found[0].id if found else None)
            for message in found:
                if not link.is_up:
                    break
                self._send(link, queue, message)
        self.pump()

    def _send(self, link: UpstreamLink, queue: str, message: Message) -> None:
        assert self._form is not None
        assert message.id is not None
        self._after[queue] = message.id
        if message.id in self._queue_of:
            return
        packet_id = link.next_packet_id()
        try:
            link.send(message.id, packet_id, self._form.packet(message, packet_id))
        except LeafwardError as error:
            self._set_aside(queue, message.id, str(error))
        else:
            self._queue_of[message.id] = queue

    def _set_aside(self, queue: str, number: int, why: str) -> None:
        self._metrics.upstream_refused += 1
        if self._budgets.take("refused"):
            logger.error("the message %d is set aside, upstream does not take it: %s", number, why)
        self._store.move(queue, REFUSED, number)

    def _finished(self) -> None:
        if self._paused and not self._queue_of and self._link is not None:
            self._link.end(None)
