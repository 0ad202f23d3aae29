"""What a client asks of the hub by a message: its twin, a change of it, the answer to a direct method.

Those who answer register here; a connection knows none of them. An MQTT acknowledgement is sent before.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from leafward.hub.peer import Peer
from leafward.hub.sessions import Session
from leafward.wire.hub_topics import MethodResponse, TwinGet, TwinReported, twin_response_topic

Request: TypeAlias = TwinGet | TwinReported | MethodResponse
# Called in the loop's thread with the session, who it is, what was asked, and the payload.
Handler: TypeAlias = Callable[[Session, Peer, Any, bytes], None]

_NOT_IMPLEMENTED = 501
_NO_TWINS = b'{"errorCode":501000,"message":"twins are not implemented"}'


class Requests:
    """Who answers which kind of request: one each."""

    def __init__(self) -> None:
        self._handlers: dict[type, Handler] = {}

    def on(self, kind: type[TwinGet] | type[TwinReported] | type[MethodResponse], handler: Handler) -> None:
        """Has `handler` answer requests of this kind. Raises `ValueError` for a second one: a fault of ours."""
        if kind in self._handlers:
            raise ValueError(f"{kind.__name__} is answered already")
        self._handlers[kind] = handler

    def handle(self, session: Session, peer: Peer, request: Request, payload: bytes) -> None:
        """Passes a request on. Where nobody answers, a twin is told not to be there, and a method is forgotten."""
        handler = self._handlers.get(type(request))
        if handler is not None:
            handler(session, peer, request, payload)
        elif not isinstance(request, MethodResponse):
            session.send(twin_response_topic(_NOT_IMPLEMENTED, request.request_id), _NO_TWINS)
