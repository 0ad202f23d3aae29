"""One table of routes an API, and how a request finds its own.

1. `api-version` (400), before anything else is looked at, as IoT Edge's daemon does; then the route (404), which may be
   of a later version only, and its method (405).
2. Who calls, and may they (403). Nothing of the body is read before.
3. The body, bounded in size (413) and time (408).
4. The route's own function: bytes in, bytes out, no HTTP.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl

from leafward.errors import EncodingError, NotFound
from leafward.manager.callers import Peer
from leafward.manager.door import Door
from leafward.manager.http_edge import Answer, refusal
from leafward.wire.api_version import API_VERSIONS, check_api_version
from leafward.wire.http1 import Head
from leafward.wire.management_api import module_name
from leafward.wire.percent import percent_decoded

# Clients repeat themselves: a request line that was understood once is not read again.
_REMEMBERED = 256
_MOST_PARAMETERS = 16

# at-once   answers in well under a millisecond, in the loop
# in-turn   dearer: one piece at a time, the callers taking turns (`FairTurns`)
# later     a coroutine function, for what waits for something
# stream    an asynchronous iterator of bytes, sent as they come until it ends or the caller goes
Manner = Literal["at-once", "in-turn", "later", "stream"]


@dataclass(frozen=True)
class Call:
    """One request: who, about which module (empty where the path names none), and its body.

    `bearer` is the token of an Authorization header; `query` holds the parameters but `api-version`.
    """

    peer: Peer
    door: Door
    module_id: str = ""
    generation_id: str | None = None
    body: bytes = field(default=b"", repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    bearer: str | None = field(default=None, repr=False)


# Raises `AccessDenied` for a call that may not be.
Admit = Callable[[Call], None]


@dataclass(frozen=True)
class Route:
    """A method and path pattern, the function that answers, the status of success, who may (None: the API's rule).

    `answer` takes the call and gives the body (or a whole `Answer`) in the way that `manner` says. `since` is the first
    api-version that has the route.
    """

    method: str
    path: str
    answer: Callable[[Call], Any]
    status: int = 200
    admit: Admit | None = None
    manner: Manner = "at-once"
    since: str = API_VERSIONS[0]
    content_type: str = "application/json"


@dataclass(frozen=True)
class Found:
    """A route and what the request's target says beside it."""

    route: Route
    module_id: str
    generation_id: str | None
    query: Mapping[str, str]

    def call(self, peer: Peer, door: Door, bearer: str | None) -> Call:
        """The call, its body still to come."""
        return Call(peer, door, self.module_id, self.generation_id, query=self.query, bearer=bearer)


def anybody(_call: Call) -> None:
    """The `admit` of a route that is for everybody who reaches the socket."""


class Routes:
    """The routes of one API, with the rule for those that have none of their own. `body_limit` is in bytes.

    `owner` names who pays for a call's time and place (see `connection_limits`).
    """

    def __init__(self, routes: Iterable[Route], admit: Admit, *, owner: Callable[[Call], str], body_limit: int) -> None:
        self.body_limit = body_limit
        self.owner = owner
        self._by_length: dict[int, list[tuple[list[str], Route]]] = {}
        self._remembered: dict[tuple[str, str, str], Found] = {}
        for route in routes:
            pattern = route.path.split("/")[1:]
            placed = replace(route, admit=route.admit or admit)
            self._by_length.setdefault(len(pattern), []).append((pattern, placed))

    def find(self, head: Head) -> Found | Answer:
        """The request's route; the answer where it has none. Raises `EncodingError`, and `NotFound`."""
        key = head.method, head.path, head.query
        found = self._remembered.get(key)
        if found is None:
            looked = self._look(head)
            if isinstance(looked, Answer):
                return looked
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = looked
        return found

    def _look(self, head: Head) -> Found | Answer:
        query = _parameters(head.query)
        version = check_api_version(query.pop("api-version", None))
        segments = _segments(head.path)
        methods = {}
        for pattern, route in self._by_length.get(len(segments), ()):
            names = _matched(pattern, segments)
            if names is not None and version >= route.since:
                methods[route.method] = route, names
        if not methods:
            return refusal(404, "not found")
        if head.method not in methods:
            return replace(refusal(405, "method not allowed"), headers={"Allow": ", ".join(sorted(methods))})
        route, names = methods[head.method]
        module_id = module_name(names["name"]) if "name" in names else ""
        if module_id is None:
            raise NotFound("no such module")
        return Found(route, module_id, names.get("genid"), query)


def _segments(path: str) -> list[str]:
    """Decoded one by one: `%24edgeHub` and `$edgeHub` are one module. IoT Edge takes "/modules/" as well."""
    segments = [percent_decoded(segment, "path") for segment in path.split("/")[1:]]
    return segments[:-1] if len(segments) > 1 and not segments[-1] else segments


def _matched(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    names = {}
    for expected, got in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            names[expected[1:-1]] = got
        elif expected != got:
            return None
    return names


def _parameters(query: str) -> dict[str, str]:
    """The first value of each name counts."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError as error:
        raise EncodingError("the query cannot be read", why=str(error)) from None
    return dict(reversed(pairs))
