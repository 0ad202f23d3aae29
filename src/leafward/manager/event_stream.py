"""Events over HTTP: `GET /events` of both APIs answers with a stream of server-sent events that does not end.

The Management API gives all events to the operator. On the Workload API anybody may listen, as anybody may ask for the
trust bundle: everybody is told of another trust bundle, the hub of another certificate of its own, and a module of its
own certificates. Who listens is asked again at each event: a module that was removed meanwhile is told nothing more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from leafward.errors import AccessDenied
from leafward.manager.admission import Admission
from leafward.manager.events import Event, Events, Subscription
from leafward.manager.http_routes import Admit, Call, Route, anybody
from leafward.manager.server_names import HUB
from leafward.wire.server_sent_events import COMMENT, CONTENT_TYPE, FOLLOW, PATH, RECENT, encode

# Seconds between comments on a stream that has nothing to tell.
HERE_EVERY = 60.0

# Whether a caller may be told of an event.
May = Callable[[Call, Event], bool]


def management_events(events: Events, admission: Admission, admit: Admit) -> Route:
    """The operator's stream. `admit` raises `AccessDenied` for a caller that may not."""

    def may(call: Call, _event: Event) -> bool:
        try:
            admit(call)
        except AccessDenied:
            return False
        return True

    return _route(events, admission.owner, lambda _call: None, admit, may)


def workload_events(events: Events, admission: Admission) -> Route:
    """The modules' stream."""

    def module_of(call: Call) -> str | None:
        who = admission.who(call, None)
        return None if who is None else who.module_id

    return _route(events, admission.owner, module_of, anybody, lambda call, event: _concerns(module_of(call), event))


def _concerns(module_id: str | None, event: Event) -> bool:
    if event.kind in ("trust-bundle", "lost"):
        return True
    name = event.facts.get("name")
    if event.kind != "certificate" or not isinstance(name, str):
        return False
    return module_id == (HUB if name == "hub_server" else name)


def _route(
    events: Events, owner: Callable[[Call], str], module_of: Callable[[Call], str | None], admit: Admit, may: May
) -> Route:
    async def stream(call: Call) -> AsyncIterator[bytes]:
        recent, follow = call.query.get(RECENT) == "true", call.query.get(FOLLOW) != "false"
        with events.subscribe(owner(call), module=module_of(call), recent=recent) as subscription:
            if not follow:
                subscription.end()
            async for piece in _pieces(subscription, lambda event: may(call, event)):
                yield piece

    return Route("GET", PATH, stream, admit=admit, manner="stream", content_type=CONTENT_TYPE)


async def _pieces(subscription: Subscription, may: Callable[[Event], bool]) -> AsyncIterator[bytes]:
    """Until the subscription ends. Begins with a comment, so that the subscriber knows from when on it is told all."""
    yield COMMENT
    while True:
        try:
            async with asyncio.timeout(HERE_EVERY):
                event = await anext(subscription)
        except TimeoutError:
            yield COMMENT
        except StopAsyncIteration:
            return
        else:
            if may(event):
                yield encode(event)
