"""May this link be, and which room is it for? One table for a connection."""

from leafward.errors import InputError
from leafward.hub.amqp.cbs import CbsNode
from leafward.hub.amqp.claims import Claims
from leafward.hub.amqp.device_links import Inbox, Inputs, Telemetry
from leafward.hub.amqp.links import NOT_ALLOWED, NOT_FOUND, AmqpLink, LinkRefused, Room
from leafward.hub.amqp.method_links import MethodChannel
from leafward.hub.amqp.parts import AmqpParts, Host
from leafward.hub.amqp.seats import Seat
from leafward.hub.amqp.service_links import FeedbackLink, ToDevices
from leafward.hub.amqp.twin_links import TwinChannel
from leafward.wire.access_policy import Permission
from leafward.wire.amqp_addresses import Address, Place, parse_address


class Attachments:
    """Opens the rooms of one connection's links."""

    def __init__(self, parts: AmqpParts, host: Host, claims: Claims) -> None:
        self._parts = parts
        self._claims = claims
        self._cbs = CbsNode(claims, host)

    def open(self, link: AmqpLink, text: str | None, incoming: bool) -> Room:
        """The room of a link at this address; `incoming`: the peer sends. Raises `LinkRefused`."""
        try:
            address = parse_address(text)
        except InputError as error:
            raise LinkRefused(NOT_FOUND, str(error)) from error
        if address.place is Place.CBS:
            return self._cbs.open(link, incoming=incoming)
        if address.device_id is None:
            return self._of_service(link, address, incoming=incoming)
        # Who it is comes first: a stranger does not learn what there is.
        return self._of_device(link, address, self._claims.seat(address.device_id, address.module_id), incoming)

    def _of_service(self, link: AmqpLink, address: Address, *, incoming: bool) -> Room:
        self._claims.check_service(Permission.SERVICE_CONNECT)
        if address.place is Place.TO_DEVICES and incoming:
            return ToDevices(link, self._parts)
        if address.place is Place.FEEDBACK and not incoming:
            return FeedbackLink(link, self._parts)
        raise _wrong_way(incoming)

    def _of_device(self, link: AmqpLink, address: Address, seat: Seat, incoming: bool) -> Room:
        module = address.module_id is not None
        match address.place, incoming:
            case Place.EVENTS, True:
                return Telemetry(link, self._parts, seat)
            case Place.EVENTS, False if module:
                return Inputs(link, seat)
            case Place.INBOX, False if not module:
                return Inbox(link, self._parts, seat)
            case Place.TWIN, _:
                return seat.channel(TwinChannel, lambda: TwinChannel(self._parts, seat)).open(link, incoming=incoming)
            case Place.METHODS, _:
                channel = seat.channel(MethodChannel, lambda: MethodChannel(self._parts, seat))
                return channel.open(link, incoming=incoming)
        raise _wrong_way(incoming)


def _wrong_way(incoming: bool) -> LinkRefused:
    return LinkRefused(NOT_ALLOWED, f"nobody {'sends' if incoming else 'receives'} there")
