"""Messages to devices as service calls: the operator sends, looks and purges; a device fetches its own over HTTPS."""

from collections.abc import Callable, Iterable

from leafward.errors import InputError
from leafward.hub.devicebound import DeviceBound
from leafward.hub.devicebound_queues import Registration, without_marks
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, itself, json_answer, refused
from leafward.wire.access_policy import Permission
from leafward.wire.devicebound import MAX_BODY, MAX_MESSAGE, DeviceMessage, received_headers, waiting
from leafward.wire.service_api import Fault

# The SDKs do not agree on the case.
_BOX = "/devices/{device_id}/messages/{box:[dD]evice[bB]ound}"
_QUEUE = "/hub/devices/{device_id}/devicebound"
# Seconds that somebody may wait for a message to come to an end.
LONGEST_WAIT = 300.0

# The generation id of a registered device, None for one that is not.
GenerationOf = Callable[[str], str | None]


class DeviceBoundApi:
    """The routes."""

    def __init__(self, messages: DeviceBound, generation_of: GenerationOf) -> None:
        self._messages = messages
        self._generation_of = generation_of

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        return [
            ServiceRoute("POST", _BOX, self._send, body_limit=MAX_BODY, for_services=Permission.SERVICE_CONNECT),
            ServiceRoute("DELETE", "/devices/{device_id}/commands", self._purge),
            ServiceRoute("GET", _QUEUE, self._list),
            ServiceRoute("GET", f"{_QUEUE}/{{message_id}}", self._state, seconds=LONGEST_WAIT + 10.0),
            ServiceRoute("GET", _BOX, self._fetch, itself, for_operator=False),
            ServiceRoute("DELETE", f"{_BOX}/{{etag}}", self._settle, itself, for_operator=False),
            ServiceRoute("POST", f"{_BOX}/{{etag}}/abandon", self._abandon, itself, for_operator=False),
        ]

    async def _send(self, call: ServiceCall) -> Answer:
        owner = self._owner(call)
        if owner is None:
            return _unknown(call)
        message = DeviceMessage.of_request(call.headers, call.body)
        if len(message.body) > MAX_MESSAGE:
            return refused(
                Fault.TOO_LARGE, f"the message has {len(message.body)} bytes, at most {MAX_MESSAGE} are taken"
            )
        sending = await self._messages.send(owner, message)
        if sending.id is None:
            return refused(Fault.QUEUE_FULL, "too many messages wait for this device")
        own = sending.message.system["messageId"]
        headers = {"iothub-sequencenumber": str(sending.id), "iothub-messageid": own}
        return Answer(204, headers=headers)

    async def _purge(self, call: ServiceCall) -> Answer:
        if self._owner(call) is None:
            return _unknown(call)
        count = await self._messages.purge(call.device_id)
        return json_answer({"deviceId": call.device_id, "moduleId": None, "totalMessagesPurged": count})

    async def _list(self, call: ServiceCall) -> Answer:
        owner = self._owner(call)
        if owner is None:
            return _unknown(call)
        ledger, expiry_of = self._messages.ledger, self._messages.expiry_of
        found = await self._messages.waiting(owner)
        shown = [waiting(without_marks(one), ledger.attempts(one.id or 0), expiry_of(one)) for one in found]
        return json_answer({"device_id": call.device_id, "messages": shown})

    async def _state(self, call: ServiceCall) -> Answer:
        owner = self._owner(call)
        if owner is None:
            return _unknown(call)
        number = _number(call.names["message_id"], "the message's number")
        wait = _number(call.query.get("wait", "0"), "wait")
        state = await self._messages.state_of(owner, number, wait=min(wait, LONGEST_WAIT))
        return json_answer({"id": number, "state": state})

    async def _fetch(self, call: ServiceCall) -> Answer:
        assert call.caller is not None
        fetched = await self._messages.fetch(Registration(call.device_id, call.caller.generation_id))
        if fetched is None:
            return Answer(204)
        headers = received_headers(without_marks(fetched.message), fetched.attempts, fetched.expiry)
        headers["ETag"] = f'"{fetched.token}"'
        return Answer(200, fetched.message.body, headers, "application/octet-stream")

    async def _settle(self, call: ServiceCall) -> Answer:
        reject = "reject" in call.query
        return _settled(await self._messages.settle(call.device_id, _token(call), reject=reject))

    async def _abandon(self, call: ServiceCall) -> Answer:
        return _settled(self._messages.abandon(call.device_id, _token(call)))

    def _owner(self, call: ServiceCall) -> Registration | None:
        generation = self._generation_of(call.device_id)
        return None if generation is None else Registration(call.device_id, generation)


def _unknown(call: ServiceCall) -> Answer:
    return refused(Fault.DEVICE_NOT_FOUND, f"Device {call.device_id} not registered")


def _settled(done: bool) -> Answer:
    return Answer(204) if done else refused(Fault.LOCK_LOST, "the lock of the message is lost")


def _token(call: ServiceCall) -> str:
    return call.names["etag"].strip('"')


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InputError(f"{what} is not a number", why=f"got {text[:32]!r}")
    return int(text)
