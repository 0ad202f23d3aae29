"""IoT Hub's addresses of AMQP links: what each means, and whose it is.

    $cbs                                        tokens, put anew while the connection lives
    /messages/devicebound                       a service sends to devices
    /messages/serviceBound/feedback             a service hears what became of that
    /devices/{d}[/modules/{m}]/messages/events         telemetry; a module receives its inputs there
    /devices/{d}[/modules/{m}]/messages/devicebound    a device receives
    /devices/{d}[/modules/{m}]/twin, …/methods/devicebound

An address may be written as a URL (`amqps://host/messages/devicebound`): the host is passed over, as edgeHub does. The
SDKs do not agree on the case of `deviceBound`.
"""

import enum
from dataclasses import dataclass
from urllib.parse import unquote

from leafward.errors import EncodingError, InputError
from leafward.pki.names import parse_device_id, parse_module_id

# Characters: the longest ids of device and module, encoded, and what is around them.
MAX_ADDRESS = 1024


class Place(enum.Enum):
    """What a link is for. `TO_DEVICES` is a service's way out to all of them, `INBOX` one device's way in."""

    CBS = enum.auto()
    TO_DEVICES = enum.auto()
    FEEDBACK = enum.auto()
    EVENTS = enum.auto()
    INBOX = enum.auto()
    TWIN = enum.auto()
    METHODS = enum.auto()


@dataclass(frozen=True, slots=True)
class Address:
    """A link's place, and the device or module it belongs to: none for what is a service's."""

    place: Place
    device_id: str | None = None
    module_id: str | None = None


# The ends of the addresses, in lower case.
_DEVICEBOUND = "messages/devicebound"
_OF_SERVICES = {
    "$cbs": Place.CBS,
    _DEVICEBOUND: Place.TO_DEVICES,
    "messages/servicebound/feedback": Place.FEEDBACK,
}
_OF_DEVICES = {
    "messages/events": Place.EVENTS,
    _DEVICEBOUND: Place.INBOX,
    "twin": Place.TWIN,
    "methods/devicebound": Place.METHODS,
}


def parse_address(text: str | None) -> Address:
    """What a link's address means. Raises `InputError` for an address that is none of IoT Hub's.

    >>> parse_address("amqps://hub.example/messages/deviceBound").place.name
    'TO_DEVICES'
    >>> parse_address("/devices/pump-7/twin").device_id
    'pump-7'
    """
    path = _path(text)
    if (place := _OF_SERVICES.get(path.lower())) is not None:
        return Address(place)
    device_id, module_id, rest = _owner(path)
    if device_id is None or rest.lower() not in _OF_DEVICES:
        raise InputError("no such address", why=f"got {(text or '')[:200]!r}")
    return Address(_OF_DEVICES[rest.lower()], device_id, module_id)


def parse_destination(text: str | None) -> tuple[str, str | None]:
    """(device, module) in a message's `to`: `/devices/{d}[/modules/{m}]/messages/deviceBound`.

    Raises `InputError` for one that names none.
    """
    device_id, module_id, rest = _owner(_path(text))
    if device_id is None or rest.lower() != _DEVICEBOUND:
        hint = "it is /devices/{device}/messages/deviceBound"
        raise InputError("the message is to no device", why=f"got {(text or '')[:200]!r}", hint=hint)
    return device_id, module_id


def _path(text: str | None) -> str:
    if not text or len(text) > MAX_ADDRESS:
        raise InputError("no such address", why="it is empty" if not text else f"it has {len(text)} characters")
    scheme, mark, rest = text.partition("://")
    path = rest.partition("/")[2] if mark and "/" not in scheme else text
    return path.strip("/")


def _owner(path: str) -> tuple[str | None, str | None, str]:
    """(device, module, what is left) of `devices/{d}/modules/{m}/…`."""
    parts = path.split("/")
    if len(parts) < 3 or parts[0].lower() != "devices":
        return None, None, path
    device_id, rest = _decoded(parts[1]), parts[2:]
    module_id = None
    if len(rest) > 2 and rest[0].lower() == "modules":
        module_id, rest = _decoded(rest[1]), rest[2:]
        parse_module_id(module_id)
    parse_device_id(device_id)
    return device_id, module_id, "/".join(rest)


def _decoded(text: str) -> str:
    """The SDKs of C# and Java encode ids in addresses, Node's does not."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise EncodingError("no such address", why="an id is no UTF-8") from error
