"""Registrations over HTTPS by curl, through the gateway's own port: the device learns its hub, or is refused."""

import json
import shutil
from pathlib import Path

import pytest

from leafward.pki.encoding import load_certificates
from leafward.wire.connection_string import ConnectionString
from leafward.wire.dps_door import write_chain
from leafward.wire.sas import sign
from tests.clients.mqtt_client import FAR_FUTURE
from tests.clients.test_https import curl
from tests.clients.test_provisioning_sdk import leaf_of_device_ca, prove
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


def test_by_client_certificate(edge: Edge, tmp_path: Path) -> None:
    """Mutual TLS: leaf -> device CA -> intermediate, in a group; forged headers count nothing."""
    prove(edge, edge.root, "root", "leafward-development-root-ca", tmp_path)
    device_ca = str(edge.home / "manager" / "device-ca" / "certificate.pem")
    edge.json("enrolment", "add", "line", "--group", "--certificate", device_ca)
    files = leaf_of_device_ca(edge, "dps-curl", tmp_path)
    options = ("--cert", files["certificate"], "--key", files["private_key"])
    path = f"/{SCOPE}/registrations/dps-curl/register?{VERSION}"
    body = json.dumps({"registrationId": "dps-curl"})
    status, text = curl(edge, path, "-X", "PUT", "-d", body, *options)
    assert status == 202
    path = f"/{SCOPE}/registrations/dps-curl/operations/{json.loads(text)['operationId']}?{VERSION}"
    status, text = curl(edge, path, *options)
    state = json.loads(text)["registrationState"]
    assert (status, state["assignedHub"], state["deviceId"]) == (200, edge.hostname, "dps-curl")
    status, _ = curl(edge, "/devices/dps-curl/messages/events?api-version=2020-03-13", *options, "-d", "hello")
    assert status == 204
    forged = ("-H", f"x-leafward-chain: {_chain(files['certificate'])}", "-H", "x-leafward-opens-hub: 1")
    path = f"/{SCOPE}/registrations/dps-curl/register?{VERSION}"
    status, text = curl(edge, path, "-X", "PUT", "-d", body, *forged)
    assert (status, json.loads(text)["errorCode"]) == (401, 401000)


def _chain(file: str) -> str:
    return write_chain(load_certificates(Path(file).read_bytes())[:3])


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
