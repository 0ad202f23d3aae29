"""IoT Hub's MQTT topics: which a client may use, what they mean, and those on which the hub answers.

A device or module owns few topics. Everything else is refused, so that nobody reads or writes for another; the rules
are whole strings and prefixes that end in '/', never patterns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias
from urllib.parse import quote

from leafward.errors import AccessDenied, ProtocolError
from leafward.wire.property_bag import (
    CONNECTION_DEVICE,
    CONNECTION_MODULE,
    EDGE_HUB,
    OUTPUT,
    check_forwardable,
    join_system,
    read_pairs,
    split_system,
    write_pairs,
)

METHOD_FILTER = "$iothub/methods/POST/#"
TWIN_RESPONSE_FILTER = "$iothub/twin/res/#"
TWIN_PATCH_FILTER = "$iothub/twin/PATCH/properties/desired/#"

_METHOD_RESPONSE = "$iothub/methods/res/"
_TWIN_GET = "$iothub/twin/GET/"
_TWIN_PATCH = "$iothub/twin/PATCH/properties/reported/"
_OWN_TO_READ = tuple(text.removesuffix("#") for text in (METHOD_FILTER, TWIN_RESPONSE_FILTER, TWIN_PATCH_FILTER))


@dataclass(slots=True)
class Telemetry:
    """A message from a device or module. `system` by long names ("contentType"), `output` of a module."""

    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    output: str | None = None


@dataclass(slots=True)
class MethodResponse:
    """The answer to a direct method; `status` is the method's own."""

    status: int
    request_id: str


@dataclass(slots=True)
class TwinGet:
    """A client asks for its twin."""

    request_id: str


@dataclass(slots=True)
class TwinReported:
    """A client reports properties; `version` is the one it expects to change, None for any."""

    request_id: str
    version: int | None = None


Published: TypeAlias = Telemetry | MethodResponse | TwinGet | TwinReported


class Forwarded(Protocol):
    """What of a stored message goes into a topic."""

    @property
    def device_id(self) -> str: ...
    @property
    def module_id(self) -> str | None: ...
    @property
    def properties(self) -> Mapping[str, str]: ...
    @property
    def system(self) -> Mapping[str, str]: ...


class HubTopics:
    """The topics of one connected identity. Make one a connection: its prefixes are put together once."""

    __slots__ = ("_base", "_events", "_module", "_passes_on", "_readable")

    def __init__(self, device_id: str, module_id: str | None = None) -> None:
        self._base = _base(device_id, module_id)
        self._events = self._base + "/messages/events"
        self._module = module_id is not None
        self._passes_on = module_id == EDGE_HUB
        # The C# SDK subscribes to all of a module's own topics at once; a device's are named one by one, because its
        # modules' topics lie below its own. The ids hold no wildcard, or the prefix would be a pattern.
        own = self._base + ("/" if self._module else "/messages/devicebound/")
        self._readable = _OWN_TO_READ if "+" in own or "#" in own else (own, *_OWN_TO_READ)

    def parse_publish(self, topic: str) -> Published:
        """What a message on `topic` is.

        Raises `AccessDenied` for a topic that is not this identity's to write, `InputError` for one that is and does
        not read (a broken property, a status that is no number).
        """
        if topic.startswith(self._events):
            rest = topic[len(self._events) :]
            if rest in ("", "/"):
                return Telemetry()
            if rest[0] == "/":
                return self._telemetry(rest[1:])
        if topic.startswith(_METHOD_RESPONSE):
            return _method_response(topic)
        if topic.startswith(_TWIN_GET):
            return TwinGet(_request(topic, _TWIN_GET)["$rid"])
        if topic.startswith(_TWIN_PATCH):
            return _twin_reported(topic)
        raise AccessDenied(
            "the topic is not this client's",
            why=f"got {topic[:300]!r}",
            hint=f"publish on {self._events}/",
        )

    def may_subscribe(self, topic_filter: str) -> bool:
        """Whether `topic_filter` takes nothing but what is this identity's to read. `#` and `devices/#` never do."""
        return any(topic_filter.startswith(own) and len(topic_filter) > len(own) for own in self._readable)

    def _telemetry(self, bag: str) -> Telemetry:
        bag = bag.removesuffix("/")  # Node ends the topics of outputs with one
        if "/" in bag:
            raise ProtocolError("the topic is malformed", why="a '/' stands in the properties", hint="write it as %2F")
        properties, system, output = split_system(read_pairs(bag), with_origin=self._passes_on)
        check_forwardable(properties, system)
        # A leaf device has no outputs; what it writes there must not look like a module's.
        return Telemetry(properties, system, output if self._module else None)


def parse_publish(device_id: str, module_id: str | None, topic: str) -> Published:
    """`HubTopics.parse_publish`, for one topic."""
    return HubTopics(device_id, module_id).parse_publish(topic)


def may_subscribe(device_id: str, module_id: str | None, topic_filter: str) -> bool:
    """`HubTopics.may_subscribe`, for one filter."""
    return HubTopics(device_id, module_id).may_subscribe(topic_filter)


def telemetry_topic(
    device_id: str,
    module_id: str | None = None,
    *,
    properties: Mapping[str, str] | None = None,
    system: Mapping[str, str] | None = None,
    output: str | None = None,
) -> str:
    """Where a device or module publishes: `devices/{d}[/modules/{m}]/messages/events/{properties}`."""
    pairs = join_system(properties or {}, system or {})
    if output is not None:
        pairs.insert(0, (OUTPUT, output))
    return f"{_base(device_id, module_id)}/messages/events/{write_pairs(pairs)}"


def input_topic(device_id: str, module_id: str, input_name: str, message: Forwarded) -> str:
    """Where a message goes to a module's input: `devices/{d}/modules/{m}/inputs/{input}/{properties}`.

    The slash after the input is there without properties too: Node's SDK finds the input by it. The sender's identity
    is added as `$.cdid` and `$.cmid`.
    """
    pairs = [*join_system(message.properties, message.system), (CONNECTION_DEVICE, message.device_id)]
    if message.module_id is not None:
        pairs.append((CONNECTION_MODULE, message.module_id))
    return f"{_base(device_id, module_id)}/inputs/{quote(input_name, safe='')}/{write_pairs(pairs)}"


def devicebound_topic(device_id: str, properties: Mapping[str, str], system: Mapping[str, str]) -> str:
    """Where a message from the cloud goes to a device: `devices/{d}/messages/devicebound/{properties}`."""
    return f"{_base(device_id, None)}/messages/devicebound/{write_pairs(join_system(properties, system))}"


def method_topic(name: str, request_id: str) -> str:
    """Where a direct method is called: `$iothub/methods/POST/{name}/?$rid={id}`."""
    return f"$iothub/methods/POST/{quote(name, safe='')}/?$rid={quote(request_id, safe='')}"


def twin_response_topic(status: int, request_id: str, version: int | None = None) -> str:
    """Where a twin request is answered: `$iothub/twin/res/{status}/?$rid={id}[&$version={n}]`.

    '/?' stands before every key and '=' after it: the SDKs split there and fail where one is missing.
    """
    topic = f"$iothub/twin/res/{status}/?$rid={quote(request_id, safe='')}"
    return topic if version is None else f"{topic}&$version={version}"


def twin_patch_topic(version: int) -> str:
    """Where new desired properties are told: `$iothub/twin/PATCH/properties/desired/?$version={n}`."""
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def _base(device_id: str, module_id: str | None) -> str:
    """Ids stand in topics as they are, not percent-encoded (as every SDK has it)."""
    return f"devices/{device_id}" if module_id is None else f"devices/{device_id}/modules/{module_id}"


def _request(topic: str, prefix: str) -> dict[str, str]:
    """The fields after `prefix` and '?'; `$rid` is among them and not empty."""
    mark, _, query = topic[len(prefix) :].partition("?")
    fields = read_pairs(query)
    if mark or not fields.get("$rid"):
        raise ProtocolError("the topic is malformed", why=f"got {topic[:300]!r}", hint=f"expected {prefix}?$rid=…")
    return fields


def _method_response(topic: str) -> MethodResponse:
    status, slash, _ = topic[len(_METHOD_RESPONSE) :].partition("/")
    fields = _request(topic, f"{_METHOD_RESPONSE}{status}{slash}")
    return MethodResponse(_integer(status, "status"), fields["$rid"])


def _twin_reported(topic: str) -> TwinReported:
    fields = _request(topic, _TWIN_PATCH)
    version = fields.get("$version")
    return TwinReported(fields["$rid"], None if version is None else _integer(version, "$version"))


def _integer(text: str, what: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise ProtocolError("the topic is malformed", why=f"the {what} is not a number: {text[:64]!r}")
    return int(text)


def subscriptions(device_id: str, module_id: str | None = None) -> Iterable[str]:
    """The filters that an SDK subscribes to for this identity, for clients and tests."""
    first = f"{_base(device_id, module_id)}/" + ("messages/devicebound/#" if module_id is None else "inputs/#")
    return (first, METHOD_FILTER, TWIN_RESPONSE_FILTER, TWIN_PATCH_FILTER)
