"""Direct methods as service calls: `POST /twins/{device}[/modules/{module}]/methods`, in IoT Hub's form.

For the operator, and for the modules of this edge, as edgeHub has it. A leaf device may ask nobody.
"""

from collections.abc import Iterable

from leafward.hub.methods import MethodFailure, Methods
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, modules_of, refused
from leafward.wire.access_policy import Permission
from leafward.wire.methods import LONGEST_TIMEOUT, MAX_BODY, MethodCall

_PATHS = ("/twins/{device_id}/methods", "/twins/{device_id}/modules/{module_id}/methods")
# Both waits at their longest, and a little.
_SECONDS = 2 * LONGEST_TIMEOUT + 10.0


class MethodsApi:
    """The routes. `edge_device` is this gateway's own identity, whose modules may call."""

    def __init__(self, methods: Methods, edge_device: str) -> None:
        self._methods = methods
        self._permit = modules_of(edge_device)

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        return [
            ServiceRoute(
                "POST",
                path,
                self._invoke,
                self._permit,
                seconds=_SECONDS,
                body_limit=MAX_BODY,
                for_services=Permission.SERVICE_CONNECT,
            )
            for path in _PATHS
        ]

    async def _invoke(self, call: ServiceCall) -> Answer:
        outcome = await self._methods.invoke(call.device_id, call.module_id, MethodCall.parse(call.body))
        if isinstance(outcome, MethodFailure):
            return refused(outcome.fault, outcome.why)
        return Answer(200, outcome.to_json())
