"""The routes around a rotation: the operator asks for one, the hub gives its verdict, Prometheus looks."""

import asyncio

from leafward.errors import AccessDenied
from leafward.manager.http_routes import Call, Route
from leafward.manager.metrics import CONTENT_TYPE, RequestCounts, exposition
from leafward.manager.rotation import Rotation
from leafward.manager.server_names import HUB
from leafward.manager.start import Standing
from leafward.wire.api_fields import to_json
from leafward.wire.rotation import METRICS, ROTATE, VERDICT, HubVerdict, RotateRequest


def rotate_route(rotation: Rotation) -> Route:
    """POST /rotate of the Management API. The rotation goes on when whoever asked for it has gone."""

    async def rotate(call: Call) -> bytes:
        request = RotateRequest.parse(call.body)
        outcome = await asyncio.shield(rotation.rotate(request.level, dry_run=request.dry_run))
        return to_json(outcome.fields())

    return Route("POST", ROTATE, rotate, manner="later")


def verdict_route(rotation: Rotation) -> Route:
    """The hub's verdict, on the Workload API. Answered when it was acted on: who refuses may ask for the old one."""

    async def verdict(call: Call) -> bytes:
        if call.module_id != HUB:
            raise AccessDenied("forbidden")
        await asyncio.shield(rotation.verdict(HubVerdict.parse(call.body)))
        return b""

    return Route("POST", VERDICT, verdict, status=204, manner="later")


def metrics_route(standing: Standing, requests: RequestCounts) -> Route:
    """GET /metrics of the Management API."""
    return Route("GET", METRICS, lambda _call: exposition(standing, requests), content_type=CONTENT_TYPE)
