"""Who is registered, as service calls: `GET /devices/{device}[/modules/{module}]` in IoT Hub's form, without keys.

For the operator, and for services with RegistryRead. Registering is the operator's, by `leafward device`.
"""

from collections.abc import Callable, Iterable

from leafward.hub.hub import Hub
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, json_answer, refused
from leafward.store.identity import AuthType, Identity
from leafward.wire.access_policy import Permission
from leafward.wire.devicebound import written
from leafward.wire.service_api import Fault

_PATHS = ("/devices/{device_id}", "/devices/{device_id}/modules/{module_id}")
_AUTHENTICATIONS: dict[AuthType, str] = {
    "sas": "sas",
    "x509-ca": "certificateAuthority",
    "x509-thumbprint": "selfSigned",
}
# What IoT Hub writes where there is no time.
_NEVER = "0001-01-01T00:00:00Z"


class IdentitiesApi:
    """The routes. `find` gives an identity of the registry."""

    def __init__(self, hub: Hub, find: Callable[[str, str | None], Identity | None]) -> None:
        self._hub = hub
        self._find = find

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        return [ServiceRoute("GET", path, self._get, for_services=Permission.REGISTRY_READ) for path in _PATHS]

    async def _get(self, call: ServiceCall) -> Answer:
        identity = self._find(call.device_id, call.module_id)
        if identity is None:
            fault = Fault.DEVICE_NOT_FOUND if call.module_id is None else Fault.MODULE_NOT_FOUND
            return refused(fault, f"{'/'.join(call.names.values())} is not registered")
        return json_answer(self._facts(identity))

    def _facts(self, identity: Identity) -> dict[str, object]:
        session = self._hub.broker.find(identity.label)
        here = session is not None and session.connected
        names = {"deviceId": identity.device_id}
        module = {} if identity.module_id is None else {"moduleId": identity.module_id}
        return {
            **names,
            **module,
            "generationId": identity.generation_id,
            "etag": None,
            "connectionState": "Connected" if here else "Disconnected",
            "status": "enabled" if identity.enabled else "disabled",
            "statusReason": None,
            "connectionStateUpdatedTime": _NEVER,
            "statusUpdatedTime": written(identity.created),
            "lastActivityTime": _NEVER,
            "cloudToDeviceMessageCount": 0,
            "authentication": {
                "type": _AUTHENTICATIONS[identity.auth],
                "symmetricKey": {"primaryKey": None, "secondaryKey": None},
                "x509Thumbprint": {
                    "primaryThumbprint": identity.primary_thumbprint,
                    "secondaryThumbprint": identity.secondary_thumbprint,
                },
            },
        }
