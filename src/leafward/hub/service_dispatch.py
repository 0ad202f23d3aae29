"""Takes service calls from aiohttp to their route and back: the order of `service_api`, and nothing of what they do."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from leafward.errors import InputError, LeafwardError
from leafward.hub.access_policies import AccessPolicies, Service
from leafward.hub.hub import Hub
from leafward.hub.link import presented_by
from leafward.hub.log_budget import LogBudgets
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, operator_only, refused
from leafward.hub.service_callers import claim_of, policy_claimed
from leafward.hub.service_places import Places
from leafward.wire.service_api import Fault, check_service_version, fault_of

logger = logging.getLogger(__name__)

OPERATOR = "(operator)"


class ServiceApi:
    """The table of routes. `add` before the doors are opened."""

    def __init__(self, hub: Hub, *, places: Places | None = None) -> None:
        self._hub = hub
        self._routes: list[ServiceRoute] = []
        self._places = Places() if places is None else places
        self._budgets = LogBudgets()
        self.policies: AccessPolicies | None = None

    def add(self, *routes: ServiceRoute) -> None:
        """Adds to the table."""
        self._routes.extend(routes)

    def https_routes(self) -> list[web.RouteDef]:
        """What the HTTPS port answers for: what is for others than the operator."""
        routes = [one for one in self._routes if one.permit is not operator_only or one.for_services is not None]
        return [self._route(route, _Https(self, route)) for route in routes]

    def operator_routes(self) -> list[web.RouteDef]:
        """What the operator's socket answers for."""
        return [self._route(route, _Operator(self, route)) for route in self._routes if route.for_operator]

    async def answer(
        self, route: ServiceRoute, request: web.Request, caller: Peer | Service | None
    ) -> web.StreamResponse:
        """From step 2 on (`service_api`): the caller is known."""
        peer = None if isinstance(caller, Service) else caller
        call = ServiceCall(peer, dict(request.match_info), _query(request), request.headers)
        who = OPERATOR if caller is None else caller.label if isinstance(caller, Service) else caller.client_id
        if peer is not None and route.permit is operator_only:
            # For the operator and for services: to a device it is not there.
            return self.response(refused(Fault.METHOD_NOT_ALLOWED, "not this method"))
        if caller is not None and not _may(route, call, caller):
            self.record(Refusal("service-not-allowed", f"{route.method} {route.path}"), who, request)
            return self.response(refused(Fault.FORBIDDEN, "this caller may not do this"))
        if not self._places.free_for(who):
            return self.response(refused(Fault.THROTTLED, "too many calls at once", {"Retry-After": "1"}))
        with self._places.taken(who):
            return self.response(await self._answered(route, request, call))

    def admitted(self, request: web.Request) -> Peer | Service | float:
        """Who calls by HTTPS; for whoever is not let in, how many seconds the answer must wait."""
        if self.policies is not None and (name := policy_claimed(request.headers)) is not None:
            service = self.policies.admit(request.headers["Authorization"])
            return self.record(service, f"policy:{name}", request) if isinstance(service, Refusal) else service
        claim = claim_of(request.headers, request.match_info)
        if isinstance(claim, Refusal):
            return self.record(claim, request.path, request)
        token, now = request.headers.get("Authorization"), self._hub.clock()
        judged = self._hub.authenticator.credential(*claim, token, lambda: presented_by(request.transport), now)
        if isinstance(judged, Refusal):
            return self.record(judged, "/".join(filter(None, claim)), request)
        return judged

    def record(self, refusal: Refusal, claimed: str, request: web.Request) -> float:
        """Keeps why somebody was refused; how many seconds the answer must wait."""
        address = str(request.remote or "?")
        return self._hub.refusals.record(refusal, claimed=claimed, address=address, at=self._hub.clock())

    def response(self, answer: Answer) -> web.StreamResponse:
        """`answer` for aiohttp, counted."""
        self._hub.metrics.service_calls[str(answer.status)] += 1
        return response_of(answer)

    @staticmethod
    def _route(route: ServiceRoute, door: "_Https | _Operator") -> web.RouteDef:
        return web.route(route.method, route.path, door.serve)

    async def _answered(self, route: ServiceRoute, request: web.Request, call: ServiceCall) -> Answer:
        body = await self._body(route, request)
        if isinstance(body, Answer):
            return body
        try:
            async with asyncio.timeout(route.seconds):
                return await route.answer(replace(call, body=body))
        except LeafwardError as error:
            return self._failed(route, error)
        except TimeoutError:
            return refused(Fault.GATEWAY_TIMEOUT, "the answer took too long")
        except Exception:
            logger.exception("a fault of ours: %s %s", route.method, route.path)
            return refused(Fault.SERVER_ERROR, "internal error")

    async def _body(self, route: ServiceRoute, request: web.Request) -> bytes | Answer:
        too_large = refused(Fault.TOO_LARGE, f"the body is longer than {route.body_limit} bytes")
        if (request.content_length or 0) > route.body_limit:
            return too_large
        try:
            async with asyncio.timeout(self._hub.limits.packet_timeout):
                body = await request.read()
        except TimeoutError:
            return refused(Fault.REQUEST_TIMEOUT, "the body did not come in time", {"Connection": "close"})
        except web.HTTPRequestEntityTooLarge:
            return too_large
        return body if len(body) <= route.body_limit else too_large

    def _failed(self, route: ServiceRoute, error: LeafwardError) -> Answer:
        fault = fault_of(error)
        if fault.status >= 500 and self._budgets.take(route.path):
            logger.error("%s %s: %s", route.method, route.path, error)
        return refused(fault, str(error) if error.hint is None else f"{error}; {error.hint}")


class _Https:
    """One route on the HTTPS port."""

    def __init__(self, api: ServiceApi, route: ServiceRoute) -> None:
        self._api = api
        self._route = route

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Version, caller, then the rest. NOTE: Node's SDK calls methods without any version; edgeHub looks at none."""
        if "api-version" in request.query and (wrong := _wrong_version(request)) is not None:
            return self._api.response(wrong)
        caller = self._api.admitted(request)
        if isinstance(caller, float):
            await asyncio.sleep(caller)
            return self._api.response(refused(Fault.UNAUTHORIZED, "Unauthorized"))
        return await self._api.answer(self._route, request, caller)


class _Operator:
    """One route on the operator's socket, where whoever gets through is the operator."""

    def __init__(self, api: ServiceApi, route: ServiceRoute) -> None:
        self._api = api
        self._route = route

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Version, then the rest."""
        if (wrong := _wrong_version(request)) is not None:
            return self._api.response(wrong)
        return await self._api.answer(self._route, request, None)


def _may(route: ServiceRoute, call: ServiceCall, caller: Peer | Service) -> bool:
    if isinstance(caller, Service):
        return route.for_services is not None and caller.may(route.for_services)
    return route.permit(call)


def response_of(answer: Answer) -> web.Response:
    """`answer` for aiohttp."""
    headers = dict(answer.headers)
    if answer.body:
        headers.setdefault("Content-Type", answer.content_type)
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _query(request: web.Request) -> Mapping[str, str]:
    return {name: request.query[name] for name in request.query if name != "api-version"}


def _wrong_version(request: web.Request) -> Answer | None:
    try:
        check_service_version(request.query.get("api-version"))
    except InputError as error:
        return refused(Fault.ARGUMENT_INVALID, str(error))
    return None
