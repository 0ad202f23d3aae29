"""Direct methods: a question to one client that is here, and its answer, while somebody waits for it.

    invoke -> is it registered? -> is it here and subscribed? wait `connect_timeout` -> PUBLISH with a request id
           -> its answer with that id, within `response_timeout`

Nothing of it is stored. The request id is random: only the client that got it can answer, and an answer of another
client with that id is passed over and told, as are late and second ones.
"""

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from leafward.errors import InputError
from leafward.hub.hub import Hub
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.service_places import Places
from leafward.hub.sessions import Session
from leafward.wire.hub_topics import MethodResponse, method_topic
from leafward.wire.methods import MethodCall, MethodResult
from leafward.wire.service_api import Fault

# Calls that wait for a client or its answer: of all, and of one client.
MOST_PENDING = 1024
MOST_OF_ONE_CLIENT = 32
# Bytes of a request id, which stands in the topic in hexadecimal.
_ID_SIZE = 12
# How many ids of the past are remembered, to tell a late answer from one that nobody asked for.
_REMEMBERED = 1024

# What became of an id: the name under which an answer that comes afterwards is counted.
_SECOND, _LATE = "second-answer", "late-answer"
_STOPPING = "the hub is being stopped"


@dataclass(frozen=True, slots=True)
class MethodFailure:
    """Why there is no answer, in IoT Hub's codes."""

    fault: Fault
    why: str


Outcome = MethodResult | MethodFailure


@dataclass(slots=True)
class _Pending:
    """A question that was sent. Only the same registration of the client may answer, on whatever connection."""

    client_id: str
    generation_id: str
    answer: "asyncio.Future[Outcome]" = field(repr=False)


class Methods:
    """Asks the clients of one hub. `known` says whether an identity is registered. For the loop's thread."""

    def __init__(self, hub: Hub, known: Callable[[str, str | None], bool], *, places: Places | None = None) -> None:
        self._hub = hub
        self._known = known
        self._places = Places(MOST_PENDING, MOST_OF_ONE_CLIENT) if places is None else places
        self._pending: dict[str, _Pending] = {}
        self._past: dict[str, str] = {}
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._closed = False
        hub.requests.on(MethodResponse, self._answered)
        hub.broker.arrived.append(self._wake)
        hub.broker.subscribed.append(lambda session, _filter: self._wake(session))

    async def invoke(self, device_id: str, module_id: str | None, call: MethodCall) -> Outcome:
        """Asks a device or module. Never raises for what the client does or does not do."""
        client_id = device_id if module_id is None else f"{device_id}/{module_id}"
        if not self._known(device_id, module_id):
            fault = Fault.DEVICE_NOT_FOUND if module_id is None else Fault.MODULE_NOT_FOUND
            return self._failed("not-known", fault, f"{client_id} is not registered")
        if not self._places.free_for(client_id):
            return self._failed("busy", Fault.THROTTLED, f"too many methods of {client_id} wait for an answer")
        with self._places.taken(client_id):
            session = await self._there(client_id, call.connect_timeout)
            if session is None and self._closed:
                return self._failed("given-up", Fault.UNAVAILABLE, _STOPPING)
            if session is None:
                return self._failed("not-online", Fault.DEVICE_NOT_ONLINE, "Timed out waiting for device to connect.")
            return await self._ask(session, call)

    def close(self) -> None:
        """The hub stops: everybody who waits is told."""
        self._closed = True
        for pending in self._pending.values():
            _settle(pending.answer, MethodFailure(Fault.UNAVAILABLE, _STOPPING))
        for client_id in list(self._waiting):
            self._wake_all(client_id)

    async def _there(self, client_id: str, seconds: int) -> Session | None:
        """The session of a client that is here and takes methods; waits for it. None when it does not come."""
        session = self._ready(client_id)
        if session is not None or not seconds:
            return session
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while session is None and not self._closed:
                    await self._change_of(client_id)
                    session = self._ready(client_id)
        return session

    def _ready(self, client_id: str) -> Session | None:
        session = self._hub.broker.find(client_id)
        if session is None or not session.connected or not session.takes(method_topic("any", "0")):
            return None
        return session

    async def _change_of(self, client_id: str) -> None:
        """Returns when the client has connected or subscribed."""
        change = asyncio.get_running_loop().create_future()
        waiting = self._waiting[client_id]
        waiting.append(change)
        try:
            await change
        finally:
            waiting.remove(change)
            if not waiting and self._waiting.get(client_id) is waiting:
                del self._waiting[client_id]

    def _wake(self, session: Session) -> None:
        if self._waiting and session.client_id in self._waiting:
            self._wake_all(session.client_id)

    def _wake_all(self, client_id: str) -> None:
        for change in self._waiting[client_id]:
            if not change.done():
                change.set_result(None)

    async def _ask(self, session: Session, call: MethodCall) -> Outcome:
        request_id = secrets.token_hex(_ID_SIZE)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = _Pending(session.client_id, session.peer.generation_id, answer)
        outcome: Outcome | None = None
        try:
            if not session.send(method_topic(call.name, request_id), call.payload, qos=1):
                return self._failed("not-sent", Fault.UNAVAILABLE, f"{session.client_id} does not keep up")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(call.response_timeout):
                    outcome = await answer
        finally:
            del self._pending[request_id]
            self._remember(request_id, _LATE if outcome is None else _SECOND)
        if outcome is None:
            why = "Timed out waiting for the response from device."
            return self._failed("timed-out", Fault.GATEWAY_TIMEOUT, why)
        if isinstance(outcome, MethodFailure):
            bad = outcome.fault is Fault.BAD_DEVICE_RESPONSE
            self._hub.metrics.methods["bad-answer" if bad else "given-up"] += 1
        else:
            self._hub.metrics.methods["answered"] += 1
        return outcome

    def _answered(self, session: Session, peer: Peer, response: MethodResponse, payload: bytes) -> None:
        """A client's answer: to whoever waits for it, or passed over and counted."""
        pending = self._pending.get(response.request_id)
        if pending is None or pending.answer.done():
            past = _SECOND if pending is not None else self._past.get(response.request_id, "unasked-answer")
            self._hub.metrics.methods[past] += 1
        elif (pending.client_id, pending.generation_id) != (peer.client_id, peer.generation_id):
            self._hub.metrics.methods["forged-answer"] += 1
            refusal = Refusal("method-answer-forged", "the method was another client's to answer")
            self._hub.refusals.record(refusal, claimed=peer.client_id, address="?", at=self._hub.clock())
        else:
            _settle(pending.answer, _read(response.status, payload))

    def _remember(self, request_id: str, what: str) -> None:
        self._past[request_id] = what
        if len(self._past) > _REMEMBERED:
            del self._past[next(iter(self._past))]

    def _failed(self, outcome: str, fault: Fault, why: str) -> MethodFailure:
        self._hub.metrics.methods[outcome] += 1
        return MethodFailure(fault, why)


def _read(status: int, payload: bytes) -> Outcome:
    try:
        return MethodResult.of_device(status, payload)
    except InputError as error:
        return MethodFailure(Fault.BAD_DEVICE_RESPONSE, str(error))


def _settle(answer: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    # Whoever waited may have gone meanwhile.
    if not answer.done():
        answer.set_result(outcome)
