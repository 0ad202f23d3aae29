"""`…/twin`: requests on one link, answers and changes on another (IoT Hub's form).

annotations operation, resource; correlation-id        -> annotations status, version; the same correlation-id
GET                                                       200 and both documents
PATCH /properties/reported                                204, the new version
PUT, DELETE /notifications/twin/properties/desired        200: from now on changes come, or no more
(a change)                                             -> annotations resource, version; no correlation-id
"""

from typing import Any

from leafward.hub.amqp.channel_rooms import Inlet, Outlet
from leafward.hub.amqp.links import RESOURCE_LIMIT, AmqpLink, Room
from leafward.hub.amqp.parts import AmqpParts
from leafward.hub.amqp.seats import Seat
from leafward.wire.amqp_messages import AmqpContent, Long, text_of
from leafward.wire.hub_topics import TWIN_PATCH_FILTER, TwinGet, TwinReported
from leafward.wire.mqtt.packets import Publish
from leafward.wire.property_bag import read_pairs

REPORTED, DESIRED = "/properties/reported", "/notifications/twin/properties/desired"
_RESPONSE = "$iothub/twin/res/"
_CHANGE = TWIN_PATCH_FILTER.removesuffix("#")
# The hub lets 16 of one client wait for the store.
WINDOW = 16


class TwinChannel:
    """What the two links of one seat have in common."""

    def __init__(self, parts: AmqpParts, seat: Seat) -> None:
        self._parts = parts
        self._seat = seat
        self._answers: AmqpLink | None = None
        self._asked: dict[str, Any] = {}
        self._number = 0

    def open(self, link: AmqpLink, *, incoming: bool) -> Room:
        """A room for a link. Of several to get answers on, the newest has them."""
        if incoming:
            return Inlet(link, self._seat, self.ask, WINDOW)
        self._answers = link
        return Outlet(link, self._seat, self)

    def begin(self) -> None:
        """Answers go out when there are some."""

    def ask(self, content: AmqpContent) -> str | None:
        """Takes a request; why not, where it is none."""
        operation = text_of(content.annotations.get("operation"))
        resource = (text_of(content.annotations.get("resource")) or "").lower()
        match operation, resource:
            case "GET", "":
                self._handle(content, TwinGet)
            case "PATCH", "/properties/reported":
                self._handle(content, TwinReported)
            case ("PUT" | "DELETE") as what, "/notifications/twin/properties/desired":
                self._notify(what, content.correlation_id)
            case _:
                return f"{operation!r:.32} of {resource!r:.64} is nothing of a twin"
        return None

    def published(self, packet: Publish) -> bool:
        """See `Listener`."""
        if packet.topic.startswith(_RESPONSE):
            status, _, query = packet.topic[len(_RESPONSE) :].partition("/?")
            fields = read_pairs(query)
            correlation = self._asked.pop(fields.get("$rid", ""), None)
            version = fields.get("$version")
            self._answer(correlation, int(status), packet.payload, None if version is None else int(version))
            return True
        if packet.topic.startswith(_CHANGE):
            version = read_pairs(packet.topic[len(_CHANGE) :].removeprefix("?")).get("$version", "0")
            self._send(AmqpContent(packet.payload, annotations={"resource": DESIRED, "version": Long(version)}))
            return True
        return False

    def gone(self, link: AmqpLink) -> None:
        """The link for answers is closed."""
        if self._answers is link:
            self._answers = None
            self._seat.unsubscribe(TWIN_PATCH_FILTER)

    def _handle(self, content: AmqpContent, kind: type[TwinGet] | type[TwinReported]) -> None:
        self._number += 1
        request_id = str(self._number)
        self._asked[request_id] = content.correlation_id
        session = self._seat.session
        self._parts.hub.requests.handle(session, session.peer, kind(request_id), content.body)

    def _notify(self, what: str, correlation: Any) -> None:
        if what == "DELETE":
            self._seat.unsubscribe(TWIN_PATCH_FILTER)
        else:
            self._seat.subscribe(TWIN_PATCH_FILTER)
        self._answer(correlation, 200, b"", None)

    def _answer(self, correlation: Any, status: int, body: bytes, version: int | None) -> None:
        told = {} if version is None else {"version": Long(version)}
        annotations = {"status": status, **told}
        self._send(AmqpContent(body, correlation_id=correlation, annotations=annotations, bodiless=not body))

    def _send(self, content: AmqpContent) -> None:
        if self._answers is not None and self._answers.send(content, settled=True) is None:
            self._answers.close(RESOURCE_LIMIT, "the answers are not read")
