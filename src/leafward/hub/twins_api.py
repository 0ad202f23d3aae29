"""Twins as service calls, in IoT Hub's form: `GET`, `PATCH` (merge) and `PUT` (replace) of `/twins/{d}[/modules/{m}]`.

The operator sees and changes all. Over HTTPS a device or module has its own and nobody else's: it sees no tags, and
changes what it reports.

    If-Match    the ETag of an answer, `*` or nothing for any; another one is 412, and nothing is changed
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from leafward.hub.hub import Hub
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, itself, json_answer, refused
from leafward.hub.twins import Changed, How, Outcome, TwinFailure, Twins
from leafward.hub.twins_mqtt import MAX_PATCH
from leafward.store.identity import AuthType, Identity
from leafward.store.twins import TwinKey
from leafward.wire.access_policy import Permission
from leafward.wire.service_api import Fault
from leafward.wire.twins import Document, Twin, parse_etag, parse_reported_patch, parse_service_patch

_SERVICES = Permission.SERVICE_CONNECT
_PATHS = ("/twins/{device_id}", "/twins/{device_id}/modules/{module_id}")
# Desired, reported and tags, as they may come back in a whole.
_MAX_BODY = 4 * MAX_PATCH
_AUTHENTICATIONS: dict[AuthType, str] = {
    "sas": "sas",
    "x509-ca": "certificateAuthority",
    "x509-thumbprint": "selfSigned",
}


class TwinsApi:
    """The routes. `find` gives an identity of the registry."""

    def __init__(self, hub: Hub, twins: Twins, find: Callable[[str, str | None], Identity | None]) -> None:
        self._hub = hub
        self._twins = twins
        self._find = find

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        for path in _PATHS:
            yield ServiceRoute("GET", path, self._get, itself, for_services=_SERVICES)
            yield ServiceRoute("PATCH", path, self._patch, itself, body_limit=_MAX_BODY, for_services=_SERVICES)
            yield ServiceRoute("PUT", path, self._put, body_limit=_MAX_BODY, for_services=_SERVICES)

    async def _get(self, call: ServiceCall) -> Answer:
        return await self._asked(call, None)

    async def _patch(self, call: ServiceCall) -> Answer:
        return await self._asked(call, self._serving(call) if call.caller is None else self._reporting(call))

    async def _put(self, call: ServiceCall) -> Answer:
        return await self._asked(call, self._serving(call, whole=True))

    def _serving(self, call: ServiceCall, *, whole: bool = False) -> How:
        wanted, now = _if_match(call), self._hub.clock()

        def how(twin: Twin) -> Changed | TwinFailure:
            if wanted not in (None, twin.etag):
                return _moved_on(twin.etag)
            patch = parse_service_patch(call.body, whole=whole)
            after = patch.applied(twin, now)
            return Changed(after, told=patch.told(twin, after))

        return how

    def _reporting(self, call: ServiceCall) -> How:
        wanted, now = _if_match(call), self._hub.clock()

        def how(twin: Twin) -> Changed | TwinFailure:
            if wanted not in (None, twin.reported.version):
                return _moved_on(twin.reported.version)
            patch = parse_reported_patch(call.body)
            return Changed(twin.reporting(patch, now), reported=patch)

        return how

    async def _asked(self, call: ServiceCall, how: How | None) -> Answer:
        identity = self._find(call.device_id, call.module_id)
        if identity is None:
            fault = Fault.DEVICE_NOT_FOUND if call.module_id is None else Fault.MODULE_NOT_FOUND
            return refused(fault, f"{'/'.join(call.names.values())} is not registered")
        key = TwinKey(identity.device_id, identity.module_id, identity.generation_id)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._twins.ask(key, lambda outcome: _settle(answer, outcome), how, size=len(call.body))
        outcome = await answer
        if isinstance(outcome, TwinFailure):
            return refused(outcome.fault, outcome.why)
        if call.caller is not None:
            etag = outcome.reported.version
            return json_answer({**_names(identity), "properties": outcome.for_device()}, headers=_etag(etag))
        return json_answer(self._whole(identity, outcome), headers=_etag(outcome.etag))

    def _whole(self, identity: Identity, twin: Twin) -> Document:
        """The twin with what IoT Hub tells of an identity beside it."""
        session = self._hub.broker.find(identity.label)
        here = session is not None and session.connected
        facts: Document = {
            "status": "enabled" if identity.enabled else "disabled",
            "connectionState": "Connected" if here else "Disconnected",
            "authenticationType": _AUTHENTICATIONS[identity.auth],
        }
        return {**twin.for_service(identity.device_id, identity.module_id), **facts}


def _names(identity: Identity) -> dict[str, Any]:
    names = {"deviceId": identity.device_id}
    return names if identity.module_id is None else {**names, "moduleId": identity.module_id}


def _if_match(call: ServiceCall) -> int | None:
    return parse_etag(call.headers.get("if-match"))


def _moved_on(etag: int) -> TwinFailure:
    return TwinFailure(Fault.PRECONDITION_FAILED, f"the twin has changed meanwhile: its ETag is {etag}")


def _etag(number: int) -> dict[str, str]:
    return {"ETag": f'"{number}"'}


def _settle(answer: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    # Whoever waited may have gone meanwhile.
    if not answer.done():
        answer.set_result(outcome)
