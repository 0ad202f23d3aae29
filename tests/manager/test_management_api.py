"""The Management API: for the operator, and for no module."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from leafward import __version__
from leafward.manager.callers import Peer
from leafward.manager.daemon import Manager
from leafward.store.home import Home

Start = Callable[[], Awaitable[Any]]
ROUTES = [
    ("GET", "/modules"),
    ("POST", "/modules"),
    ("GET", "/modules/modA"),
    ("DELETE", "/modules/modA"),
    ("POST", "/modules/modA/attach"),
    ("GET", "/identities"),
    ("POST", "/identities"),
    ("PUT", "/identities/modA"),
    ("DELETE", "/identities/modA"),
    ("GET", "/systeminfo"),
    ("GET", "/status"),
]


@pytest.fixture
async def operator(manager: Manager, program: Start) -> Any:
    """A program that is no module."""
    manager.standing.modules.add("modA")
    return await program()


async def test_a_module_is_made_with_its_environment(manager: Manager, operator: Any, home: Home) -> None:
    answer = await operator.management("POST", "/modules", {"name": "modB", "type": "docker", "config": {}})
    assert answer.status == 201
    identity = manager.standing.modules.get("modB")
    assert answer.json["moduleId"] == "modB"
    assert answer.json["environment"] == {
        "IOTEDGE_WORKLOADURI": f"unix://{home.workload_socket}",
        "IOTEDGE_DEVICEID": "edge-device",
        "IOTEDGE_MODULEID": "modB",
        "IOTEDGE_MODULEGENERATIONID": identity.generation_id,
        "IOTEDGE_IOTHUBHOSTNAME": "iotedgegw.local",
        "IOTEDGE_GATEWAYHOSTNAME": "iotedgegw.local",
        "IOTEDGE_AUTHSCHEME": "sasToken",
        "IOTEDGE_APIVERSION": "2022-08-03",
    }
    again = await operator.management("POST", "/modules", {"name": "modB"})
    assert again.status == 409


@pytest.mark.parametrize(
    ("name", "status"),
    [("MODA", 409), ("1modA", 409), ("edgeHub", 403), ("iotedgegw.local", 403), ("", 400), ("a/b", 400), (7, 400)],
)
async def test_a_name_like_the_hubs_or_anothers_is_refused(operator: Any, name: object, status: int) -> None:
    assert (await operator.management("POST", "/modules", {"name": name})).status == status
    assert (await operator.management("POST", "/identities", {"moduleId": name})).status == status


async def test_identities(manager: Manager, operator: Any) -> None:
    made = await operator.management("POST", "/identities", {"moduleId": "modC", "managedBy": "iotedge"})
    generation = manager.standing.modules.get("modC").generation_id
    expected = {"moduleId": "modC", "managedBy": "iotedge", "generationId": generation, "authType": "sas"}
    assert (made.status, made.json) == (200, expected)
    assert (await operator.management("PUT", "/identities/modC", {"generationId": generation})).json == expected
    listed = await operator.management("GET", "/identities")
    assert [one["moduleId"] for one in listed.json["identities"]] == ["$edgeHub", "modA", "modC"]
    assert (await operator.management("DELETE", "/identities/modC")).status == 204
    assert (await operator.management("DELETE", "/identities/modC")).status == 404
    assert (await operator.management("PUT", "/identities/modC", {})).status == 404


async def test_a_name_that_is_used_again_is_another_generation(manager: Manager, operator: Any) -> None:
    before = manager.standing.modules.get("modA")
    assert (await operator.management("DELETE", "/modules/modA")).status == 204
    assert (await operator.management("POST", "/modules", {"name": "modA"})).status == 201
    after = manager.standing.modules.get("modA")
    assert before.generation_id != after.generation_id
    assert before.primary_key != after.primary_key


async def test_modules_are_listed_and_shown(operator: Any) -> None:
    listed = await operator.management("GET", "/modules")
    assert [one["name"] for one in listed.json["modules"]] == ["$edgeHub", "modA"]
    shown = await operator.management("GET", "/modules/modA")
    assert (shown.status, shown.json["name"]) == (200, "modA")
    assert (await operator.management("GET", "/modules/modZ")).status == 404


async def test_the_hub_is_not_removed(operator: Any) -> None:
    for path in ("/modules/%24edgeHub", "/identities/$edgeHub"):
        assert (await operator.management("DELETE", path)).status == 403


async def test_system_info_and_status(operator: Any) -> None:
    info = (await operator.management("GET", "/systeminfo")).json
    assert (info["osType"], info["version"], info["hostname"]) == ("linux", __version__, "iotedgegw.local")
    status = (await operator.management("GET", "/status")).json
    assert status["certificates"]["workload_ca"]["common_name"] == "iotedge workload ca"
    assert status["certificates"]["hub_server"]["common_name"] == "iotedgegw.local"
    assert status["time"]["floor_in_use"] is False
    assert status["warnings"] == []


async def test_a_module_may_not_use_it(manager: Manager, operator: Any, program: Start) -> None:
    manager.standing.modules.add("modB")
    module = await (await program()).attach("modB")
    for method, path in ROUTES:
        answer = await module.management(method, path, {"name": "modX", "moduleId": "modX"})
        assert (answer.status, answer.message) == (403, "forbidden"), path
    assert manager.standing.modules.find("modX") is None


async def test_a_process_of_an_earlier_registration_has_no_rights_of_the_later(
    manager: Manager, operator: Any, program: Start
) -> None:
    """modA is attached, removed and registered anew: its old process stays what it was, which is nobody now."""
    module = await (await program()).attach("modA")
    assert (await module.attach("modA")).generation == module.generation
    manager.standing.modules.remove("modA")
    fresh = manager.standing.modules.add("modA")
    again = await module.management("POST", "/modules/modA/attach")
    assert (again.status, again.message.split(";")[0]) == (403, "forbidden")
    certificate = await module.workload("POST", "/modules/modA/certificate/identity", {})
    assert certificate.status == 403
    body = {"keyId": "primary", "algo": "HMACSHA256", "data": "aGVsbG8="}
    signed = await module.workload("POST", f"/modules/modA/genid/{fresh.generation_id}/sign", body)
    assert signed.status == 403


async def test_another_user_may_not_use_it(manager: Manager, operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says another user; the mode of the socket would have kept that one out as well."""
    real = Peer.of
    monkeypatch.setattr(Peer, "of", lambda connection: _as_user(real(connection), 12345))
    for method, path in ROUTES:
        answer = await operator.management(method, path)
        assert (answer.status, answer.message) == (403, "forbidden"), path


async def test_attaching_an_unknown_module_is_not_found(operator: Any) -> None:
    assert (await operator.management("POST", "/modules/modZ/attach")).status == 404


async def test_a_removed_modules_process_is_nobodys(manager: Manager, operator: Any, program: Start) -> None:
    module = await (await program()).attach("modA")
    assert manager.callers.processes_of("modA") == [module.pid]
    assert (await operator.management("DELETE", "/modules/modA")).status == 204
    assert manager.callers.processes_of("modA") == []


async def test_versions_and_unknown_routes(operator: Any) -> None:
    assert (await operator.management("GET", "/systeminfo", version=None)).status == 400
    assert (await operator.management("GET", "/systeminfo", version="1999-01-01")).status == 400
    assert (await operator.management("PATCH", "/modules")).status == 405


def _as_user(peer: Peer, uid: int) -> Peer:
    peer.uid = uid
    return peer
