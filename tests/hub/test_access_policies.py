"""Shared access policies: made by the operator, proved by a token, and no way in where nobody has made one.

operator -> run/hub.sock -> hub/policies.json          service -> HTTPS, Authorization: …&skn={policy} -> twins, methods
"""

import asyncio
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import AlreadyExists, Damaged, InputError, LeafwardError, NotFound
from leafward.hub.access_policies import MOST_POLICIES, AccessPolicies, Service
from leafward.hub.refusals import Refusal
from leafward.wire import sas
from leafward.wire.access_policy import Permission
from leafward.wire.base64_text import decode_base64
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import HOST, KEY
from tests.hub.service_clients import Told, answered, operator, over_https, question, request_id

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def policies(path: Path) -> AccessPolicies:
    return AccessPolicies(path / "policies.json", {HOST, "hub.example"}, lambda: NOW)


def signed(key: bytes, *, name: str | None = "service", resource: str = HOST, seconds: int = 60) -> str:
    return sas.sign(resource, key, int(NOW.timestamp()) + seconds, name)


async def test_made_kept_and_read_back(tmp_path: Path) -> None:
    """0600, durable before it is told; the keys are in the file and nowhere else."""
    first = policies(tmp_path)
    policy = await first.create("service", ["serviceconnect", "RegistryRead"])
    assert policy.permissions == {Permission.SERVICE_CONNECT, Permission.REGISTRY_READ}
    file = tmp_path / "policies.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert policies(tmp_path).all() == [policy]
    assert "key" not in repr(policy)


async def test_what_cannot_be_made(tmp_path: Path) -> None:
    """A name twice, no name, no permission, one too many; nothing of it changes the file."""
    found = policies(tmp_path)
    await found.create("service", ["ServiceConnect"])
    with pytest.raises(AlreadyExists):
        await found.create("service", ["ServiceConnect"])
    for name, permissions in (("", ["ServiceConnect"]), ("../x", ["ServiceConnect"]), ("a", []), ("a", ["Everything"])):
        with pytest.raises(InputError):
            await found.create(name, permissions)
    with pytest.raises(NotFound):
        await found.rotate("nobody", secondary=False)
    with pytest.raises(NotFound):
        await found.delete("nobody")
    for number in range(1, MOST_POLICIES):
        await found.create(f"p{number}", ["ServiceConnect"])
    with pytest.raises(InputError):
        await found.create("one-more", ["ServiceConnect"])
    assert len(policies(tmp_path).all()) == MOST_POLICIES


async def test_a_damaged_file(tmp_path: Path) -> None:
    """Who may come in is not guessed: the hub does not start, and no key is in what it says."""
    await policies(tmp_path).create("service", ["ServiceConnect"])
    file = tmp_path / "policies.json"
    whole = file.read_bytes()
    for data in (
        whole[:-10],
        whole.replace(b'"format": 1', b'"format": 2'),
        b"[]",
        whole.replace(b"Service", b"Sorry"),
    ):
        file.write_bytes(data)
        with pytest.raises(Damaged) as caught:
            policies(tmp_path)
        assert json.loads(whole)["policies"][0]["primary_key"] not in str(caught.value)


async def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed, in memory neither."""
    found = policies(tmp_path)
    policy = await found.create("service", ["ServiceConnect"])

    def full(*_: Any, **__: Any) -> None:
        raise LeafwardError("the disk is full")

    monkeypatch.setattr("leafward.disk.write_file", full)
    with pytest.raises(LeafwardError):
        await found.rotate("service", secondary=False)
    assert found.get("service") == policy


async def test_tokens(tmp_path: Path) -> None:
    """Either key; for the whole hub; not late; the policy that the login names."""
    found = policies(tmp_path)
    policy = await found.create("service", ["ServiceConnect"])
    other = await found.create("other", ["ServiceConnect"])
    for key in (policy.primary_key, policy.secondary_key):
        admitted = found.admit(signed(key), claimed="service")
        assert isinstance(admitted, Service)
        assert admitted.until == datetime.fromtimestamp(int(NOW.timestamp()) + 60, UTC)
    for text, claimed, code in (
        (signed(other.primary_key), None, "sas-signature-wrong"),
        (signed(policy.primary_key, seconds=-1), None, "sas-expired"),
        (signed(policy.primary_key, resource="elsewhere"), None, "sas-audience-wrong"),
        (signed(policy.primary_key, resource=f"{HOST}/devices/leaf1"), None, "sas-audience-wrong"),
        (signed(policy.primary_key, name="nobody"), None, "policy-unknown"),
        (signed(policy.primary_key, name=None), None, "policy-unknown"),
        (signed(policy.primary_key), "other", "policy-unknown"),
        ("no token", None, "sas-malformed"),
    ):
        refused = found.admit(text, claimed=claimed)
        assert isinstance(refused, Refusal)
        assert refused.code == code


async def test_what_stands(tmp_path: Path) -> None:
    """A rotation voids what was proved with either key; everybody who wants to know is told."""
    found = policies(tmp_path)
    policy = await found.create("service", ["ServiceConnect"])
    proved = found.admit(signed(policy.primary_key))
    assert isinstance(proved, Service)
    told: list[bool] = []
    found.changed.append(lambda: told.append(found.stands(proved)))
    new = await found.rotate("service", secondary=True)
    assert new.primary_key == policy.primary_key
    assert isinstance(found.admit(signed(policy.secondary_key)), Refusal)
    await found.delete("service")
    assert told == [False, False]


# ---- over HTTPS


async def call(hub: RunningHub, policy: dict[str, Any], method: str, path: str, **options: Any) -> Told:
    token = sas.sign(HOST, decode_base64(policy["primary_key"], "key"), 4_000_000_000, policy["name"])
    return await over_https(hub, method, path, headers={"Authorization": token}, **options)


async def made(hub: RunningHub, name: str, *permissions: str) -> dict[str, Any]:
    async with operator(hub) as us:
        told = await us.call("PUT", f"/hub/policies/{name}", json={"permissions": list(permissions)})
    assert told.status == 201
    found: dict[str, Any] = told.json
    return found


async def test_a_service_over_https(hub: RunningHub) -> None:
    """Twins, methods and messages as the operator has them; nothing that is the operator's alone."""
    hub.add("leaf1")
    policy = await made(hub, "service", "ServiceConnect")
    assert policy["primary_connection_string"].startswith(
        f"HostName={HOST};SharedAccessKeyName=service;SharedAccessKey="
    )
    told = await call(hub, policy, "PATCH", "/twins/leaf1", json={"tags": {"line": 3}})
    assert (told.status, told.json["tags"]) == (200, {"line": 3})
    leaf = await hub.connected("leaf1")
    await leaf.subscribe("$iothub/methods/POST/#")
    asking = asyncio.create_task(
        call(hub, policy, "POST", "/twins/leaf1/methods", json={"methodName": "m", "responseTimeoutInSeconds": 5})
    )
    await answered(leaf, request_id(await question(leaf)))
    assert (await asking).json["status"] == 200
    assert (await call(hub, policy, "POST", "/devices/leaf1/messages/deviceBound", data=b"x")).status == 204
    for method, path, status in (
        ("GET", "/hub/policies", 404),
        ("GET", "/hub/status", 404),
        ("GET", "/devices/leaf1", 403),
        ("GET", "/devices/leaf1/messages/deviceBound", 403),
    ):
        assert (await call(hub, policy, method, path)).status == status, path


async def test_registry_read(hub: RunningHub) -> None:
    """Who there is, without keys; and no more than that."""
    hub.add("leaf1")
    policy = await made(hub, "reader", "RegistryRead")
    told = await call(hub, policy, "GET", "/devices/leaf1")
    assert (told.json["deviceId"], told.json["status"], told.json["generationId"]) == ("leaf1", "enabled", "g-leaf1")
    assert told.json["authentication"]["symmetricKey"]["primaryKey"] is None
    assert (await call(hub, policy, "GET", "/devices/nobody")).code == "DeviceNotFound"
    assert (await call(hub, policy, "GET", "/twins/leaf1")).status == 403


async def test_strangers(hub: RunningHub) -> None:
    """Without a policy nobody; a device's key is no policy's, and a policy's is no device's."""
    hub.add("leaf1")
    token = sas.sign(HOST, KEY, 4_000_000_000, "service")
    assert (await over_https(hub, "GET", "/twins/leaf1", headers={"Authorization": token})).status == 401
    policy = await made(hub, "service", "ServiceConnect")
    assert (await over_https(hub, "GET", "/twins/leaf1", headers={"Authorization": token})).status == 401
    key = decode_base64(policy["primary_key"], "key")
    as_device = sas.sign(f"{HOST}/devices/leaf1", key, 4_000_000_000, "service")
    assert (await over_https(hub, "GET", "/twins/leaf1", headers={"Authorization": as_device})).status == 401
