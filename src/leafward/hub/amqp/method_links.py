"""`…/methods/devicebound`: direct methods out on one link, their answers in on another (IoT Hub's form).

    correlation-id, application property IoThub-methodname, the payload as data
                                         -> the same correlation-id, IoThub-status, the payload as data

Java's SDK takes the correlation id for a UUID, so it is one; the hub's own ids stay here.
"""

from uuid import UUID, uuid4

from leafward.hub.amqp.channel_rooms import Inlet, Outlet
from leafward.hub.amqp.links import RESOURCE_LIMIT, AmqpLink, Room
from leafward.hub.amqp.parts import AmqpParts
from leafward.hub.amqp.seats import Seat
from leafward.wire.amqp_messages import AmqpContent, text_of
from leafward.wire.hub_topics import METHOD_FILTER, MethodResponse
from leafward.wire.mqtt.packets import Publish
from leafward.wire.percent import percent_decoded
from leafward.wire.property_bag import read_pairs

NAME, STATUS = "IoThub-methodname", "IoThub-status"
_METHOD = METHOD_FILTER.removesuffix("#")
WINDOW = 32
# Methods that were asked and not answered; of more the oldest is forgotten.
MOST_ASKED = 64


class MethodChannel:
    """What the two links of one seat have in common."""

    def __init__(self, parts: AmqpParts, seat: Seat) -> None:
        self._parts = parts
        self._seat = seat
        self._calls: AmqpLink | None = None
        self._asked: dict[str, str] = {}

    def open(self, link: AmqpLink, *, incoming: bool) -> Room:
        """A room for a link. Of several to get methods on, the newest has them."""
        if incoming:
            return Inlet(link, self._seat, self.answered, WINDOW)
        self._calls = link
        return Outlet(link, self._seat, self)

    def begin(self) -> None:
        """The device takes methods."""
        self._seat.subscribe(METHOD_FILTER)

    def published(self, packet: Publish) -> bool:
        """See `Listener`."""
        if not packet.topic.startswith(_METHOD):
            return False
        name, _, query = packet.topic[len(_METHOD) :].partition("/?")
        if self._calls is None:
            return True
        correlation = uuid4()
        self._asked[str(correlation)] = read_pairs(query)["$rid"]
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        content = AmqpContent(
            packet.payload,
            correlation_id=correlation,
            application={NAME: percent_decoded(name, "name of a method")},
        )
        if self._calls.send(content, settled=True) is None:
            self._calls.close(RESOURCE_LIMIT, "the methods are not read")
        return True

    def answered(self, content: AmqpContent) -> str | None:
        """Takes an answer; why not, where it is none. One that nobody waits for any more is passed over."""
        correlation, status = content.correlation_id, text_of(content.application.get(STATUS))
        if isinstance(correlation, bytes) and len(correlation) == 16:
            correlation = UUID(bytes=correlation)
        if status is None or not (status.isascii() and status.removeprefix("-").isdigit() and len(status) <= 11):
            return f"{STATUS} is no number"
        request_id = self._asked.pop(str(correlation).lower(), "late")
        session = self._seat.session
        self._parts.hub.requests.handle(session, session.peer, MethodResponse(int(status), request_id), content.body)
        return None

    def gone(self, link: AmqpLink) -> None:
        """The link for methods is closed."""
        if self._calls is link:
            self._calls = None
            self._seat.unsubscribe(METHOD_FILTER)
