"""`$cbs`: claims-based security. A token is put, and the answer says whether it is good (IoT Hub's form).

    put-token, type servicebus.windows.net:sastoken, the token as body  ->  status-code 200 or 401, by correlation id

The peer sends on one link and gets its answers on another; the two come in any order.
"""

from collections import deque
from functools import partial
from typing import Any

from leafward.hub.amqp.claims import Claims
from leafward.hub.amqp.links import RESOURCE_LIMIT, AmqpLink, LinkRefused, Room
from leafward.hub.amqp.parts import Host
from leafward.wire.amqp_messages import AmqpContent
from leafward.wire.sas import MAX_TOKEN

TOKEN_TYPE = "servicebus.windows.net:sastoken"  # noqa: S105 - the name of a kind
# Requests that wait, and answers: a peer that puts more is cut off.
MOST_ANSWERS = 16
# More than the devices of one connection put at once.
_CREDIT = 16
_OK, _BAD, _NO = 200, 400, 401
_WORDS = {_OK: "OK", _BAD: "Bad Request", _NO: "Unauthorized"}


class CbsNode:
    """The node of one connection: what its rooms have in common."""

    def __init__(self, claims: Claims, host: Host) -> None:
        self._claims = claims
        self._host = host
        self._answers: AmqpLink | None = None
        self._waiting: list[AmqpContent] = []
        self._requests: deque[AmqpContent] = deque()
        self._busy = False

    def open(self, link: AmqpLink, *, incoming: bool) -> Room:
        """A room for a link. Raises `LinkRefused` for a second one to get answers on."""
        if incoming:
            return _Requests(link, self)
        if self._answers is not None and self._answers.open:
            raise LinkRefused(RESOURCE_LIMIT, "answers go to one link")
        self._answers = link
        return _Answers(link, self)

    def put(self, content: AmqpContent) -> None:
        """Takes a request, to be judged once what was said before is written. One after the other: nobody guesses
        several at once."""
        if len(self._requests) >= MOST_ANSWERS:
            self._host.end("login-refused", "it puts tokens faster than they are judged")
            return
        self._requests.append(content)
        if not self._busy:
            self._busy = True
            self._host.later(0.0, self._next)

    def _next(self) -> None:
        while self._requests:
            content = self._requests.popleft()
            wait = self._judge(content)
            if wait > 0:
                self._host.later(wait, partial(self._answer_late, content))
                return
        self._busy = False

    def _judge(self, content: AmqpContent) -> float:
        """Answers a request, unless the answer must wait: then, for how many seconds."""
        operation, kind = content.application.get("operation"), content.application.get("type")
        if operation != "put-token" or kind != TOKEN_TYPE:
            # The type that Entra ID's tokens have is the one that others try.
            self._answer(content, _BAD, f"put-token of type {TOKEN_TYPE} alone is known here")
        elif len(content.body) > MAX_TOKEN:
            self._answer(content, _BAD, f"a token has at most {MAX_TOKEN} characters")
        elif (wait := self._claims.put(content.body.decode("utf-8", "replace"))) is None:
            self._answer(content, _OK, _WORDS[_OK])
        elif wait <= 0:
            self._answer(content, _NO, _WORDS[_NO])
        else:
            return wait
        return 0.0

    def tell(self) -> None:
        """The peer has credit, or has opened its link: what waits goes."""
        while self._waiting and self._answers is not None and self._answers.credit:
            self._answers.send(self._waiting.pop(0), settled=True)

    def _answer_late(self, content: AmqpContent) -> None:
        self._answer(content, _NO, _WORDS[_NO])
        self._next()

    def _answer(self, content: AmqpContent, status: int, text: str) -> None:
        if len(self._waiting) >= MOST_ANSWERS:
            self._host.end("slow-reader", "it takes no answers of $cbs")
            return
        application: dict[str, Any] = {"status-code": status, "status-description": text}
        answer = AmqpContent(correlation_id=content.message_id, application=application, bodiless=True)
        self._waiting.append(answer)
        self.tell()


class _Requests(Room):
    """The link that tokens come by."""

    def __init__(self, link: AmqpLink, node: CbsNode) -> None:
        super().__init__(link)
        self._node = node

    def begin(self) -> None:
        """A few at once."""
        self.link.top_up(_CREDIT, 0)

    def message(self, delivery: Any, content: AmqpContent) -> None:
        """A request. NOTE: that it came is told before its answer, in a write of its own: the engine would put the
        answer first, and Python's service SDK takes that for none."""
        self.link.accept(delivery)
        self._node.put(content)
        self.link.top_up(_CREDIT, 0)


class _Answers(Room):
    """The link that answers go by."""

    def __init__(self, link: AmqpLink, node: CbsNode) -> None:
        super().__init__(link)
        self._node = node

    def writable(self) -> None:
        """See `Room`."""
        self._node.tell()
