"""Shared access policies as service calls, on the operator's socket alone: the keys are in the answers."""

from collections.abc import Iterable
from typing import Any

from leafward.errors import EncodingError
from leafward.hub.access_policies import AccessPolicies, AccessPolicy
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, json_answer
from leafward.wire.access_policy import service_connection_string
from leafward.wire.api_fields import Fields
from leafward.wire.base64_text import encode_base64
from leafward.wire.devicebound import written
from leafward.wire.json_value import read_json

_PATH = "/hub/policies"
_ONE = f"{_PATH}/{{policy}}"
_BODY_LIMIT = 4096


class AccessPoliciesApi:
    """The routes. `host`: the name that services connect to."""

    def __init__(self, policies: AccessPolicies, host: str) -> None:
        self._policies = policies
        self._host = host

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        return [
            ServiceRoute("GET", _PATH, self._list),
            ServiceRoute("GET", _ONE, self._show),
            ServiceRoute("PUT", _ONE, self._create, body_limit=_BODY_LIMIT),
            ServiceRoute("POST", f"{_ONE}/rotate", self._rotate),
            ServiceRoute("DELETE", _ONE, self._delete),
        ]

    async def _list(self, _call: ServiceCall) -> Answer:
        return json_answer({"policies": [_facts(one) for one in self._policies.all()]})

    async def _show(self, call: ServiceCall) -> Answer:
        return self._answer(self._policies.get(call.names["policy"]))

    async def _create(self, call: ServiceCall) -> Answer:
        permissions = Fields(_object(call.body), "policy").values.get("permissions")
        if not isinstance(permissions, list) or not all(isinstance(one, str) for one in permissions):
            raise EncodingError("the policy is malformed", why="expected permissions, a list of texts")
        return self._answer(await self._policies.create(call.names["policy"], permissions), 201)

    async def _rotate(self, call: ServiceCall) -> Answer:
        policy = await self._policies.rotate(call.names["policy"], secondary="secondary" in call.query)
        return self._answer(policy)

    async def _delete(self, call: ServiceCall) -> Answer:
        await self._policies.delete(call.names["policy"])
        return Answer(204)

    def _answer(self, policy: AccessPolicy, status: int = 200) -> Answer:
        keys = {"primary": policy.primary_key, "secondary": policy.secondary_key}
        shown = {f"{which}_key": encode_base64(key) for which, key in keys.items()}
        texts = {
            f"{which}_connection_string": service_connection_string(self._host, policy.name, key)
            for which, key in keys.items()
        }
        return json_answer({**_facts(policy), **shown, **texts}, status)


def _facts(policy: AccessPolicy) -> dict[str, Any]:
    permissions = sorted(one.value for one in policy.permissions)
    return {"name": policy.name, "permissions": permissions, "created": written(policy.created)}


def _object(body: bytes) -> Any:
    value = read_json(body, "policy")
    if not isinstance(value, dict):
        raise EncodingError("the policy is malformed", why="expected an object")
    return value
