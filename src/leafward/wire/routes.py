"""Routes: which message goes where (the language of IoT Edge's hub).

`FROM <source> [WHERE <condition>] INTO $upstream | BrokeredEndpoint("/modules/{m}/inputs/{i}")`. The text is read in
`route_text`, the condition answered in `route_conditions`; here the two meet messages.

An endpoint has a queue for each priority that routes give it: "$upstream", "$upstream#3", "filter/inputs/in1#0".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from leafward.errors import InputError, SettingsError
from leafward.pki.names import parse_module_id
from leafward.wire.route_conditions import Condition, Routed, Subject
from leafward.wire.route_text import RouteError, RouteText

__all__ = ["DEFAULT_ROUTE", "FOREVER", "UPSTREAM", "Route", "RouteError", "Router", "brokered_endpoint", "module_input"]

UPSTREAM = "$upstream"
# The system property that says that a message is no telemetry: who writes it is the hub, never a client.
MESSAGE_TYPE = "messageType"
# The first part of a source, lower-cased, and the name by which `MESSAGE_TYPE` says it.
EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "twinchangenotifications": "twinChangeNotifications",
        "devicelifecycleevents": "deviceLifecycleEvents",
        "modulelifecycleevents": "moduleLifecycleEvents",
        "deviceconnectionstateevents": "deviceConnectionStateEvents",
        "devicejoblifecycleevents": "deviceJobLifecycleEvents",
        "digitaltwinchangeevents": "digitalTwinChangeEvents",
        "jobs": "jobs",
    }
)
SOURCES = ("messages", *EVENTS)
# Of these events a hub of ours tells. The others are IoT Hub's own: routes that name them are read, as IoT Edge does.
TOLD_HERE = frozenset({"twinchangenotifications"})
# A message that waits for ever, in seconds; and the priorities, of which 0 goes first.
FOREVER = -1
LAST_PRIORITY = 9
LONGEST_LIFE = 2**31 - 1

_ENDPOINT = re.compile(r"/modules/([^/]+)/inputs/([A-Za-z0-9._-]{1,128})", re.IGNORECASE)
_ENDPOINT_FORM = 'BrokeredEndpoint("/modules/{module}/inputs/{input}")'
_MAX_KNOWN_SENDERS = 1024
_NOWHERE: Mapping[str, int | None] = MappingProxyType({})


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
            known = ", ".join("/" + name for name in ("messages", *EVENTS.values()))
            raise SettingsError(
                f"the source {text!r} is not one", why=f"expected /* or a path that begins with {known}"
            )
        return cls(tuple(segments))

    @property
    def is_silent(self) -> bool:
        """Whether nothing ever comes from here: an event that this hub does not tell of."""
        return bool(self.segments) and self.segments[0] in EVENTS and self.segments[0] not in TOLD_HERE

    def takes(self, module_id: str | None, output: str | None, kind: str | None = None) -> bool:
        """Whether a message comes from here: a leaf device's (`module_id` None), a module's output's, or an event of
        that `kind`."""
        source = _source_of(module_id, output) if kind is None else (kind.lower(),)
        return source[: len(self.segments)] == self.segments


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `endpoint` is `$upstream` or `{module}/inputs/{input}`.

    `priority`: 0 to 9, of which 0 goes first; None comes after all of them. `time_to_live`: for how many seconds a
    message waits, `FOREVER` for any; None as the hub has it.
    """

    source: Source
    condition: Condition | None
    endpoint: str
    text: str = field(default="", compare=False)
    priority: int | None = None
    time_to_live: int | None = None

    @classmethod
    def parse(cls, text: str, *, priority: int | None = None, time_to_live: int | None = None) -> "Route":
        """Raises `SettingsError`; a `RouteError` says at which character it stopped and what it expected there.

        >>> Route.parse('FROM /messages/* WHERE level = "high" INTO $upstream').endpoint
        '$upstream'
        """
        _check_terms(priority, time_to_live)
        reader = RouteText(text)
        if reader.keyword("SELECT"):
            reader.expect("*")
        reader.expect_keyword("FROM")
        source_text, at = reader.source()
        try:
            source = Source.parse(source_text)
        except SettingsError as error:
            reader.fail_at(at, str(error))
        condition = reader.condition() if reader.keyword("WHERE") else None
        reader.expect_keyword("INTO", *(["WHERE"] if condition is None else ["AND", "OR"]))
        endpoint = _endpoint(reader)
        reader.end()
        return cls(source, condition, endpoint, text, priority, time_to_live or None)

    @property
    def queue(self) -> str:
        """The queue of the endpoint that this route fills."""
        return queue_of(self.endpoint, self.priority)

    def matches(self, message: Routed) -> bool:
        """Whether this route takes `message`."""
        kind = message.system.get(MESSAGE_TYPE)
        return self.source.takes(message.module_id, message.output, kind) and self.holds(Subject(message))

    def holds(self, subject: Subject) -> bool:
        """Whether the condition is true; the source is not looked at."""
        return self.condition is None or self.condition.value(subject) is True


DEFAULT_ROUTE = Route(Source(("messages",)), None, UPSTREAM, "FROM /messages/* INTO $upstream")


class Router:
    """Routes together. Without any, everything goes upstream. `time_to_live`: seconds, where a route does not say."""

    def __init__(self, routes: Iterable[Route] = (), time_to_live: int = FOREVER) -> None:
        self.routes = tuple(routes) or (DEFAULT_ROUTE,)
        self._time_to_live = time_to_live
        # Which routes look at a sender's messages at all: the same few senders ask again and again. With it, where a
        # message goes if no condition has a say.
        self._by_sender: dict[tuple[str | None, ...], tuple[tuple[Route, ...], Mapping[str, int | None] | None]] = {}

    def endpoints_for(self, message: Routed) -> Mapping[str, int | None]:
        """The queues that get `message`, and for how many seconds it waits there, None for ever; none is possible.

        Of several routes to one endpoint the one of the best priority counts; of equal ones the longest life.
        """
        sender = (message.module_id, message.output, message.system.get(MESSAGE_TYPE))
        routes, always = self._by_sender.get(sender) or self._look(sender)
        if always is not None:
            return always
        subject = Subject(message)
        return self._joined(route for route in routes if route.holds(subject))

    def taking(self, message: Routed) -> list[Route]:
        """The routes that take `message`, in their order."""
        return [route for route in self.routes if route.matches(message)]

    def queues(self, others: Iterable[str] = ()) -> list[str]:
        """The queues of all routes, and `others` that something may still wait in; better priorities first."""
        names = dict.fromkeys([*(route.queue for route in self.routes), *others])
        return sorted(names, key=rank_of_queue)

    def _look(self, sender: tuple[Any, ...]) -> tuple[tuple[Route, ...], Mapping[str, int | None] | None]:
        if len(self._by_sender) >= _MAX_KNOWN_SENDERS:
            self._by_sender.clear()  # a module may invent outputs without end
        routes = tuple(route for route in self.routes if route.source.takes(*sender))
        always = self._joined(routes) if all(route.condition is None for route in routes) else None
        found = self._by_sender[sender] = routes, always
        return found

    def _joined(self, routes: Iterable[Route]) -> Mapping[str, int | None]:
        best: dict[str, Route] = {}
        for route in routes:
            other = best.get(route.endpoint)
            if other is None or self._order(route) < self._order(other):
                best[route.endpoint] = route
        if not best:
            return _NOWHERE
        return {route.queue: self._seconds(route) for route in best.values()}

    def _order(self, route: Route) -> tuple[int, int]:
        seconds = self._seconds(route)
        return _rank(route.priority), -(LONGEST_LIFE + 1 if seconds is None else seconds)

    def _seconds(self, route: Route) -> int | None:
        seconds = self._time_to_live if route.time_to_live is None else route.time_to_live
        return None if seconds == FOREVER else seconds


def queue_of(endpoint: str, priority: int | None) -> str:
    """The name of the queue of an endpoint for one priority."""
    return endpoint if priority is None else f"{endpoint}#{priority}"


def priority_of(queue: str) -> int | None:
    """The priority that a queue's name ends in; the names of inputs have no '#'."""
    endpoint, _, priority = queue.rpartition("#")
    return int(priority) if len(priority) == 1 and priority.isdigit() and endpoint else None


def rank_of_queue(queue: str) -> int:
    """The lower, the sooner it is delivered."""
    return _rank(priority_of(queue))


def brokered_endpoint(module_id: str, input_name: str) -> str:
    """The name of a module's input as an endpoint."""
    return f"{module_id}/inputs/{input_name}"


def module_input(queue: str) -> tuple[str, str] | None:
    """(module id, input) of an endpoint or one of its queues; None for `$upstream` and what else is no input."""
    module_id, parted, input_name = queue.partition("/inputs/")
    if not parted:
        return None
    return module_id, input_name if priority_of(queue) is None else input_name[:-2]


def _check_terms(priority: int | None, time_to_live: int | None) -> None:
    if priority is not None and not 0 <= priority <= LAST_PRIORITY:
        raise SettingsError("the priority is not one", why=f"got {priority}, expected 0 (first) to {LAST_PRIORITY}")
    if time_to_live is not None and not FOREVER <= time_to_live <= LONGEST_LIFE:
        why = f"got {time_to_live}, expected seconds, {FOREVER} for ever, or 0 as the hub has it"
        raise SettingsError("the time to live is not one", why=why)


def _rank(priority: int | None) -> int:
    return LAST_PRIORITY + 1 if priority is None else priority


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
    string = reader.string()
    if string is None:
        reader.fail('a string such as "/modules/filter/inputs/in1"')
    reader.expect(")")
    text, at = string
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        reader.fail_at(at, f"the endpoint {text!r} is not one, expected {UPSTREAM} or {_ENDPOINT_FORM}")
    try:
        return brokered_endpoint(parse_module_id(match[1]), match[2])
    except InputError as error:
        reader.fail_at(at, f"the endpoint {text!r} is not one: {error}")
