"""The properties of a message, as they travel in an MQTT topic: `%24.mid=m1&%24.ct=text%2Fplain&colour=red`.

A name that begins with `$.` is one of the system's; the SDKs percent-encode that dollar sign (Python) or may not
(Node), and both are read. Inside leafward system properties have their long names, as routes and people write them.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import quote

from leafward.errors import ProtocolError
from leafward.wire.mqtt.packets import MAX_STRING
from leafward.wire.percent import percent_decoded

MAX_PROPERTIES = 256  # in one message; IoT Hub bounds only their size, and the topic's 64 KiB bound that here
# Bytes of a message's properties as we write them. A message that is taken goes on in a topic of ours, behind the ids
# of device, module and input and before the sender's, which together need some 1,300 bytes at most.
MAX_BAG = MAX_STRING - 2048

# The module by which a gateway's hub connects to the hub above it; it passes on what is others', and says whose.
EDGE_HUB = "$edgeHub"
OUTPUT, CONNECTION_DEVICE, CONNECTION_MODULE = "$.on", "$.cdid", "$.cmid"

# Wire name -> long name (SystemProperties of IoT Edge's hub).
SYSTEM_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "$.mid": "messageId",
        "$.cid": "correlationId",
        "$.uid": "userId",
        "$.to": "to",
        "$.ct": "contentType",
        "$.ce": "contentEncoding",
        "$.exp": "expiryTimeUtc",
        "$.ctime": "creationTimeUtc",
        "$.sub": "subject",
        "$.schema": "messageSchema",
        "$.ifid": "interfaceId",
    }
)
_WIRE_NAMES: Mapping[str, str] = MappingProxyType({long: wire for wire, long in SYSTEM_NAMES.items()})


def read_pairs(text: str) -> dict[str, str]:
    """`name=value&…` decoded. A name without '=' has the value "". Raises `ProtocolError` (or `EncodingError`).

    A name that comes twice is refused: two readers would see two values.
    """
    pairs: dict[str, str] = {}
    if not text:
        return pairs
    for part in text.split("&"):
        name, _, value = part.partition("=")
        name = percent_decoded(name, "name of a property")
        if not name or name in pairs:
            raise ProtocolError("the properties are malformed", why=_why(name))
        pairs[name] = percent_decoded(value, "value of a property")
    if len(pairs) > MAX_PROPERTIES:
        raise ProtocolError("the message has too many properties", why=f"got {len(pairs)}, at most {MAX_PROPERTIES}")
    return pairs


def write_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """The pairs encoded so that both SDKs read them: nothing but unreserved characters stays as it is."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def check_forwardable(properties: Mapping[str, str], system: Mapping[str, str]) -> None:
    """Refuses properties that a message could not take on with it to its receiver.

    Encoding makes text longer: '(' becomes three bytes. Raises `ProtocolError` for too much, and for what is no Unicode
    text.
    """
    text = "".join((*properties, *properties.values(), *system, *system.values()))
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ProtocolError("the properties are no Unicode text", why=error.reason) from error
    # Three bytes for each and two separators a pair, at most: then there is no need to encode.
    if 3 * size + 2 * (len(properties) + len(system)) <= MAX_BAG:
        return
    size = len(write_pairs(join_system(properties, system)))
    if size > MAX_BAG:
        why = f"they need {size} bytes in a topic, where {MAX_BAG} are left for them"
        raise ProtocolError("the properties are too long", why=why)


def split_system(
    pairs: Mapping[str, str], *, with_origin: bool = False
) -> tuple[dict[str, str], dict[str, str], str | None]:
    """(properties, system properties by long name, output).

    What a sender says about who it is (`$.cdid`, `$.cmid`) is dropped, not believed and not refused: the Python SDK
    keeps both as ordinary properties, so a module that passes a message on repeats them. `with_origin`: it stays among
    the system properties, for whoever judges it. System names that we do not know keep their wire name.
    """
    properties: dict[str, str] = {}
    system: dict[str, str] = {}
    output = None
    for name, value in pairs.items():
        if not name.startswith("$."):
            properties[name] = value
        elif name == OUTPUT:
            output = value or None
        elif with_origin or name not in (CONNECTION_DEVICE, CONNECTION_MODULE):
            system[SYSTEM_NAMES.get(name, name)] = value
    return properties, system, output


def join_system(properties: Mapping[str, str], system: Mapping[str, str]) -> list[tuple[str, str]]:
    """The pairs of a message as they go on the wire, system properties first.

    A property whose name looks like a system one is left out, and the other way round: on the wire it would become one.
    """
    pairs = [(_WIRE_NAMES.get(name, name), value) for name, value in system.items()]
    pairs = [pair for pair in pairs if pair[0].startswith("$.")]
    pairs.extend((name, value) for name, value in properties.items() if not name.startswith("$."))
    return pairs


def _why(name: str) -> str:
    return f"the property {name[:64]!r} comes twice" if name else "a property has no name"
