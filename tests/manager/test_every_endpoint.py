"""Every endpoint of IoT Edge's two APIs, with every answer that it can give: one table each.

A real HTTP client in processes of their own: `modA` and `$edgeHub` are modules, `nobody` is none, `operator` is the
user's own program at the management socket.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from leafward.manager.daemon import Manager
from leafward.wire import management_api, workload_api
from leafward.wire.api_version import API_VERSIONS, LATEST

Start = Callable[[], Awaitable[Any]]
TEXT = base64.b64encode(b"x" * 40).decode()
SIGN = {"keyId": "primary", "algo": "HMACSHA256", "data": TEXT}
SEAL = {"plaintext": TEXT, "initializationVector": TEXT}
A = "/modules/modA/genid/GENERATION"
HUB = "/modules/%24edgeHub/genid/GENERATION"
LARGE = {"data": "A" * 70_000}

# who, method, path, body, status, words of the answer
WORKLOAD = [
    ("nobody", "GET", "/modules", None, 200, '"name":"modA"'),
    ("nobody", "GET", "/modules/", None, 200, '"name":"modA"'),
    ("nobody", "PUT", "/modules", None, 405, "not allowed"),
    ("nobody", "GET", "/trust-bundle", None, 200, "BEGIN CERTIFICATE"),
    ("nobody", "GET", "/trust-bundle/", None, 200, "BEGIN CERTIFICATE"),
    ("nobody", "POST", "/trust-bundle", None, 405, "not allowed"),
    ("nobody", "GET", "/manifest-trust-bundle", None, 200, '{"certificate":""}'),
    ("modA", "POST", f"{A}/sign", SIGN, 200, '"digest":'),
    ("modA", "POST", f"{A}/sign", {"data": TEXT}, 200, '"digest":'),
    ("modA", "POST", f"{A}/sign/", SIGN, 200, '"digest":'),
    ("modA", "POST", "/modules/mod%41/genid/GENERATION/sign", SIGN, 200, '"digest":'),
    ("modA", "GET", f"{A}/sign", None, 405, "not allowed"),
    ("modA", "POST", f"{A}/sign", None, 400, "'data'"),
    ("modA", "POST", f"{A}/sign", "{", 400, "JSON"),
    ("modA", "POST", f"{A}/sign", {"data": "?"}, 400, "base64"),
    ("modA", "POST", f"{A}/sign", LARGE, 413, "longer than"),
    ("modA", "POST", "/modules/modA/genid/other/sign", SIGN, 403, "forbidden"),
    ("modA", "POST", "/modules/modZ/genid/GENERATION/sign", SIGN, 403, "forbidden"),
    ("modA", "POST", f"{HUB}/sign", SIGN, 403, "forbidden"),
    ("nobody", "POST", f"{A}/sign", SIGN, 403, "forbidden"),
    ("nobody", "POST", f"{A}/sign", LARGE, 403, "forbidden"),
    ("hub", "POST", f"{HUB}/sign", SIGN, 200, '"digest":'),
    ("hub", "POST", "/modules/$edgeHub/genid/GENERATION/sign", SIGN, 200, '"digest":'),
    ("modA", "POST", f"{A}/encrypt", SEAL, 200, '"ciphertext":'),
    ("modA", "POST", f"{A}/encrypt", {"plaintext": TEXT}, 400, "initializationVector"),
    ("nobody", "POST", f"{A}/encrypt", SEAL, 403, "forbidden"),
    ("modA", "POST", f"{A}/decrypt", {"ciphertext": TEXT, "initializationVector": TEXT}, 400, "cannot be decrypted"),
    ("modA", "POST", f"{A}/decrypt", {"initializationVector": TEXT}, 400, "ciphertext"),
    ("nobody", "POST", f"{A}/decrypt", SEAL, 403, "forbidden"),
    ("modA", "POST", "/modules/modA/certificate/identity", None, 201, '"privateKey":{"type":"key"'),
    ("modA", "POST", "/modules/modA/certificate/identity", {"expiration": "x"}, 400, "expiration"),
    ("modA", "GET", "/modules/modA/certificate/identity", None, 405, "not allowed"),
    ("hub", "POST", "/modules/modA/certificate/identity", None, 403, "forbidden"),
    ("modA", "POST", f"{A}/certificate/server", {"commonName": "modA"}, 201, "BEGIN CERTIFICATE"),
    ("modA", "POST", f"{A}/certificate/server", {}, 400, "commonName"),
    ("modA", "POST", f"{A}/certificate/server", {"commonName": "*"}, 400, "host name"),
    ("modA", "POST", f"{A}/certificate/server", {"commonName": "iotedgegw.local"}, 403, "no server certificate"),
    ("modA", "POST", f"{A}/certificate/server", {"commonName": "modA", "expiration": "1999-01-01T00:00:00Z"}, 400, ""),
    ("nobody", "POST", f"{A}/certificate/server", {"commonName": "modA"}, 403, "forbidden"),
    ("hub", "POST", f"{HUB}/certificate/server", {"commonName": "iotedgegw.local"}, 201, "BEGIN CERTIFICATE"),
    ("modA", "POST", "/modules//genid/1/sign", SIGN, 404, "no such module"),
    ("modA", "POST", "/modules/a%2Fb/genid/1/sign", SIGN, 404, "no such module"),
    ("modA", "POST", "/modules/a%zz/genid/1/sign", SIGN, 400, "percent"),
    ("modA", "GET", "/", None, 404, "not found"),
    ("modA", "GET", "/systeminfo", None, 404, "not found"),
    ("modA", "GET", "/identities", None, 404, "not found"),
]
MANAGEMENT = [
    ("operator", "GET", "/modules", None, 200, '"runtimeStatus":{"status":"running"}'),
    ("operator", "POST", "/modules", {"name": "modB", "type": "docker", "config": {}}, 201, '"status":"stopped"'),
    ("operator", "POST", "/modules", {"name": "modA"}, 409, "exists"),
    ("operator", "POST", "/modules", None, 400, "'name'"),
    ("operator", "POST", "/modules", {"name": "edgeHub"}, 403, "no module can be called"),
    ("operator", "GET", "/modules/modA", None, 200, '"name":"modA"'),
    ("operator", "GET", "/modules/modZ", None, 404, "no module"),
    ("operator", "PUT", "/modules/modA", {"name": "modA", "type": "docker", "config": {}}, 201, '"name":"modA"'),
    ("operator", "PUT", "/modules/modA", {}, 400, "'name'"),
    ("operator", "PUT", "/modules/modZ", {"name": "modZ"}, 404, "no module"),
    ("operator", "POST", "/modules/modA/start", None, 204, ""),
    ("operator", "POST", "/modules/modB/start", None, 501, "leafward module run modB"),
    ("operator", "POST", "/modules/modZ/start", None, 404, "no module"),
    ("operator", "POST", "/modules/modA/restart", None, 501, "not containers"),
    ("operator", "POST", "/modules/modB/stop", None, 204, ""),
    ("operator", "POST", "/modules/modZ/stop", None, 404, "no module"),
    ("operator", "POST", "/modules/modA/prepareupdate", {"name": "modA"}, 204, ""),
    ("operator", "POST", "/modules/modZ/prepareupdate", None, 404, "no module"),
    ("operator", "GET", "/modules/modA/logs", None, 501, "journalctl"),
    ("operator", "GET", "/modules/modZ/logs", None, 404, "no module"),
    ("operator", "POST", "/modules/modZ/attach", None, 404, "no module"),
    ("operator", "DELETE", "/modules/modB", None, 204, ""),
    ("operator", "DELETE", "/modules/modB", None, 404, "no module"),
    ("operator", "DELETE", "/modules/%24edgeHub", None, 403, "not removed"),
    ("operator", "GET", "/identities", None, 200, '"authType":"sas"'),
    ("operator", "POST", "/identities", {"moduleId": "modC"}, 200, '"managedBy":"iotedge"'),
    ("operator", "POST", "/identities", {"moduleId": "modC"}, 409, "exists"),
    ("operator", "POST", "/identities", {}, 400, "'moduleId'"),
    ("operator", "PUT", "/identities/modC", {"generationId": "1"}, 200, '"moduleId":"modC"'),
    ("operator", "PUT", "/identities/modZ", {}, 404, "no module"),
    ("operator", "DELETE", "/identities/modC", None, 204, ""),
    ("operator", "DELETE", "/identities/modC", None, 404, "no module"),
    ("operator", "PATCH", "/identities/modA", None, 405, "not allowed"),
    ("operator", "GET", "/systeminfo", None, 200, '"osType":"linux"'),
    ("operator", "GET", "/systeminfo/resources", None, 200, '"total_ram":'),
    ("operator", "GET", "/systeminfo/supportbundle", None, 501, "leafward doctor"),
    ("operator", "POST", "/device/reprovision", None, 501, "its own registry"),
    ("operator", "GET", "/status", None, 200, '"hub_server"'),
    ("operator", "GET", "/trust-bundle", None, 404, "not found"),
    ("modA", "GET", "/modules", None, 403, "forbidden"),
    ("modA", "POST", "/modules/modA/stop", None, 403, "forbidden"),
    ("modA", "POST", "/modules/modB/attach", None, 403, "forbidden"),
    ("modA", "POST", "/modules/modA/attach", None, 200, "IOTEDGE_WORKLOADURI"),
]


@pytest.fixture
async def programs(manager: Manager, program: Start) -> dict[str, Any]:
    manager.standing.modules.add("modA")
    return {
        "modA": await (await program()).attach("modA"),
        "hub": await (await program()).attach("$edgeHub"),
        "nobody": await program(),
        "operator": await program(),
    }


async def test_the_workload_api(manager: Manager, programs: dict[str, Any]) -> None:
    programs["nobody"].generation = programs["modA"].generation
    for who, method, path, body, status, words in WORKLOAD:
        caller = programs[who]
        answer = await caller.workload(method, path.replace("GENERATION", caller.generation), body)
        assert answer.status == status, (who, method, path, answer)
        assert words in answer.text.replace("\\n", "\n"), (who, method, path, answer)
        if status >= 400:
            assert answer.message


async def test_the_management_api(manager: Manager, programs: dict[str, Any]) -> None:
    for who, method, path, body, status, words in MANAGEMENT:
        answer = await programs[who].management(method, path, body, version=LATEST)
        assert answer.status == status, (who, method, path, answer)
        assert words in answer.text, (who, method, path, answer)
        if status >= 400:
            assert answer.message


@pytest.mark.parametrize("version", [*API_VERSIONS, "2018-06-27", "", None])
async def test_versions(manager: Manager, programs: dict[str, Any], version: str | None) -> None:
    """Every endpoint is there from the first version on, but for three of the Management API's."""
    known = version in API_VERSIONS
    for method, path in (("GET", "/trust-bundle"), ("GET", "/manifest-trust-bundle"), ("GET", "/modules")):
        answer = await programs["nobody"].workload(method, path, version=version)
        assert answer.status == (200 if known else 400)
        assert known or "api-version" in answer.message
    for method, path, since in (
        ("GET", "/systeminfo", "2018-06-28"),
        ("POST", "/device/reprovision", "2019-10-22"),
        ("GET", "/systeminfo/resources", "2019-11-05"),
        ("GET", "/systeminfo/supportbundle", "2020-07-07"),
    ):
        answer = await programs["operator"].management(method, path, version=version)
        expected = {200, 501} if known and (version or "") >= since else {404 if known else 400}
        assert answer.status in expected, (path, answer)


def test_the_tables_miss_no_endpoint() -> None:
    """Each path of the two `wire` rooms stands in its table."""
    for room, table in ((workload_api, WORKLOAD), (management_api, MANAGEMENT)):
        paths = {
            value
            for name, value in vars(room).items()
            if name.isupper() and isinstance(value, str) and value[:1] == "/"
        }
        for pattern in paths:
            parts = pattern.split("/")
            assert any(_fits(parts, path.rstrip("/").split("/")) for _, _, path, *_ in table), pattern


def _fits(pattern: list[str], path: list[str]) -> bool:
    return len(pattern) == len(path) and all(
        one.startswith("{") or one == other for one, other in zip(pattern, path, strict=True)
    )


async def test_a_module_is_stopped(manager: Manager, programs: dict[str, Any]) -> None:
    """SIGTERM to its process, and nobody else's; the list says so."""
    assert manager.callers.processes_of("modA") == [programs["modA"].pid]
    assert (await programs["operator"].management("POST", "/modules/modA/stop")).status == 204
    assert manager.callers.processes_of("modA") == []
    assert manager.callers.processes_of("$edgeHub") == [programs["hub"].pid]
    listed = (await programs["operator"].management("GET", "/modules/modA")).json
    assert listed["status"]["runtimeStatus"]["status"] == "stopped"
