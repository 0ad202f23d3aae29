"""Routes: which message goes where (the language of IoT Edge's hub).

`FROM <source> [WHERE <condition>] INTO $upstream | BrokeredEndpoint("/modules/{m}/inputs/{i}")`. The text is read in
`route_text`, the condition answered in `route_conditions`; here the two meet messages.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from leafward.errors import InputError, SettingsError
from leafward.pki.names import parse_module_id
from leafward.wire.route_conditions import Condition, Routed, Subject
from leafward.wire.route_text import RouteText

UPSTREAM = "$upstream"
SOURCES = ("messages", "twinchangenotifications", "devicelifecycleevents", "modulelifecycleevents", "jobs")

_ENDPOINT = re.compile(r"/modules/([^/]+)/inputs/([A-Za-z0-9._-]{1,128})", re.IGNORECASE)
_ENDPOINT_FORM = 'BrokeredEndpoint("/modules/{module}/inputs/{input}")'
_MAX_KNOWN_SENDERS = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A path of segments, lower-cased, that the source of a message begins with; none takes every message."""

    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Source":
        """`/messages/modules/m/outputs/*`; '*' may stand last only. Raises `SettingsError`."""
        segments = text.lower().strip("/").split("/")
        if segments[-1] == "*":
            segments.pop()
        if any(not segment or "*" in segment for segment in segments):
            raise SettingsError(f"the source {text!r} is not one", why="'*' may stand as its last part only")
        if segments and segments[0] not in SOURCES:
            why = f"expected /* or a path that begins with {', '.join('/' + name for name in SOURCES)}"
            raise SettingsError(f"the source {text!r} is not one", why=why)
        return cls(tuple(segments))

    def takes(self, module_id: str | None, output: str | None) -> bool:
        """Whether a message of a leaf device (`module_id` None), or of a module's output, comes from here."""
        return _source_of(module_id, output)[: len(self.segments)] == self.segments


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `endpoint` is `$upstream` or `{module}/inputs/{input}`."""

    source: Source
    condition: Condition | None
    endpoint: str
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Raises `SettingsError` that says at which character it stopped and what it expected there.

        >>> Route.parse('FROM /messages/* WHERE level = "high" INTO $upstream').endpoint
        '$upstream'
        """
        reader = RouteText(text)
        reader.expect_keyword("FROM")
        source = Source.parse(reader.source())
        condition = reader.condition() if reader.keyword("WHERE") else None
        reader.expect_keyword("INTO", *(["WHERE"] if condition is None else ["AND", "OR"]))
        endpoint = _endpoint(reader)
        reader.end()
        return cls(source, condition, endpoint, text)

    def matches(self, message: Routed) -> bool:
        """Whether this route takes `message`."""
        return self.source.takes(message.module_id, message.output) and self.holds(Subject(message))

    def holds(self, subject: Subject) -> bool:
        """Whether the condition is true; the source is not looked at."""
        return self.condition is None or self.condition.value(subject) is True


DEFAULT_ROUTE = Route(Source(("messages",)), None, UPSTREAM, "FROM /messages/* INTO $upstream")


class Router:
    """Routes together. Without any, everything goes upstream."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.routes = tuple(routes) or (DEFAULT_ROUTE,)
        # Which routes look at a sender's messages at all: the same few senders ask again and again.
        self._by_sender: dict[tuple[str | None, str | None], tuple[Route, ...]] = {}

    def endpoints_for(self, message: Routed) -> list[str]:
        """The endpoints that get `message`, each once, in the order of the routes; none at all is possible."""
        routes = self._routes_from(message.module_id, message.output)
        if len(routes) == 1 and routes[0].condition is None:
            return [routes[0].endpoint]
        subject = Subject(message)
        return list(dict.fromkeys(route.endpoint for route in routes if route.holds(subject)))

    def _routes_from(self, module_id: str | None, output: str | None) -> tuple[Route, ...]:
        sender = (module_id, output)
        known = self._by_sender.get(sender)
        if known is None:
            if len(self._by_sender) >= _MAX_KNOWN_SENDERS:
                self._by_sender.clear()  # a module may invent outputs without end
            known = tuple(route for route in self.routes if route.source.takes(module_id, output))
            self._by_sender[sender] = known
        return known


def brokered_endpoint(module_id: str, input_name: str) -> str:
    """The name of a module's input as an endpoint."""
    return f"{module_id}/inputs/{input_name}"


def module_input(endpoint: str) -> tuple[str, str] | None:
    """(module id, input) of an endpoint; None for `$upstream`."""
    if endpoint == UPSTREAM:
        return None
    module_id, _, input_name = endpoint.partition("/inputs/")
    return module_id, input_name


def _source_of(module_id: str | None, output: str | None) -> tuple[str, ...]:
    if module_id is None:
        return ("messages", "events")
    if output is None:
        return ("messages", "modules", module_id.lower())
    return ("messages", "modules", module_id.lower(), "outputs", output.lower())


def _endpoint(reader: RouteText) -> str:
    if reader.upstream():
        return UPSTREAM
    reader.expect_keyword("BROKEREDENDPOINT", UPSTREAM)
    reader.expect("(")
    text = reader.string()
    if text is None:
        reader.fail('a string such as "/modules/filter/inputs/in1"')
    reader.expect(")")
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise SettingsError(f"the endpoint {text!r} is not one", why=f"expected {UPSTREAM} or {_ENDPOINT_FORM}")
    try:
        return brokered_endpoint(parse_module_id(match[1]), match[2])
    except InputError as error:
        raise SettingsError(f"the endpoint {text!r} is not one", why=str(error), hint=error.hint) from error
