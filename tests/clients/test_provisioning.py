"""Registrations over HTTPS by curl, through the gateway's own port: the device learns its hub, or is refused."""

import json
import shutil

import pytest

from leafward.wire.connection_string import ConnectionString
from leafward.wire.sas import sign
from tests.clients.mqtt_client import FAR_FUTURE
from tests.clients.test_https import curl
from tests.edge import Edge

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

SCOPE = "leafward"
VERSION = "api-version=2019-03-31"


def token(edge: Edge, name: str, *, scope: str = SCOPE, expiry: int = FAR_FUTURE) -> str:
    text = edge.json("device", "show", name, "--secrets")["connection_string"]
    key = ConnectionString.parse(text).shared_access_key
    assert key is not None
    return sign(f"{scope}/registrations/{name}", key, expiry, "registration")


def register(edge: Edge, name: str, secret: str, *, scope: str = SCOPE, body: str | None = None) -> tuple[int, str]:
    path = f"/{scope}/registrations/{name}/register?{VERSION}"
    text = json.dumps({"registrationId": name}) if body is None else body
    return curl(edge, path, "-X", "PUT", "-H", f"Authorization: {secret}", "-d", text)


def test_a_device_learns_its_hub(edge: Edge) -> None:
    """register -> 202 assigning -> the operation -> 200 assigned to this gateway."""
    edge.json("device", "add", "dps-leaf")
    secret = token(edge, "dps-leaf")
    status, text = register(edge, "dps-leaf", secret)
    started = json.loads(text)
    assert (status, started["status"]) == (202, "assigning")
    path = f"/{SCOPE}/registrations/dps-leaf/operations/{started['operationId']}?{VERSION}"
    status, text = curl(edge, path, "-H", f"Authorization: {secret}")
    ended = json.loads(text)
    assert (status, ended["status"]) == (200, "assigned")
    state = ended["registrationState"]
    assert (state["assignedHub"], state["deviceId"]) == (edge.hostname, "dps-leaf")


@pytest.mark.parametrize("defect", ["unknown", "wrong-scope", "wrong-key", "expired", "disabled"])
def test_refused_with_one_and_the_same_answer(edge: Edge, defect: str) -> None:
    name = f"dps-{defect}"
    edge.json("device", "add", name)
    secret = token(edge, name, expiry=1 if defect == "expired" else FAR_FUTURE)
    if defect == "wrong-key":
        edge.json("device", "add", "dps-other")
        secret = token(edge, "dps-other")
    if defect == "disabled":
        edge.run("device", "disable", name)
    wanted = "dps-nobody" if defect == "unknown" else name
    status, text = register(edge, wanted, secret, scope="other" if defect == "wrong-scope" else SCOPE)
    error = json.loads(text)
    assert (status, error["errorCode"], error["message"]) == (401, 401000, "unauthorized")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"registrationId": "somebody-else"}', '{"registrationId": 7}'])
def test_malformed_body(edge: Edge, body: str) -> None:
    if edge.run("device", "show", "dps-body").returncode:
        edge.json("device", "add", "dps-body")
    status, text = register(edge, "dps-body", token(edge, "dps-body"), body=body)
    assert status == 400
    assert json.loads(text)["errorCode"] == 400000
