"""The Workload API on a real unix socket, called by real processes.

program --attach--> management.sock     (becomes modA)
        --request-> workload.sock       (allowed for modA, and for nobody else)
"""

import base64
import hashlib
import hmac
import os
import stat
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from leafward.manager.daemon import Manager
from leafward.manager.server_certificate import names_in
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_certificates, load_private_key
from leafward.pki.names import common_name
from leafward.pki.verify import verify
from leafward.store.home import Home
from leafward.store.registry import Registry
from leafward.wire.api_version import API_VERSIONS

Start = Callable[[], Awaitable[Any]]
SIGN_BODY = {"keyId": "primary", "algo": "HMACSHA256", "data": base64.b64encode(b"data").decode()}


@pytest.fixture
async def module(manager: Manager, program: Start) -> Any:
    """A program that is modA."""
    manager.standing.modules.add("modA")
    return await (await program()).attach("modA")


@pytest.fixture
async def hub(manager: Manager, program: Start) -> Any:
    """A program that is the hub."""
    return await (await program()).attach("$edgeHub")


def at(module: Any, what: str, name: str = "modA") -> str:
    return f"/modules/{name}/genid/{module.generation}/{what}"


def posts(module: Any) -> list[tuple[str, object]]:
    """Every request that is for the module itself, right in all respects."""
    text = base64.b64encode(b"x" * 40).decode()
    return [
        (at(module, "sign"), SIGN_BODY),
        (at(module, "encrypt"), {"plaintext": text, "initializationVector": text}),
        (at(module, "certificate/server"), {"commonName": "modA"}),
        ("/modules/modA/certificate/identity", None),
    ]


async def test_sign_is_the_modules_hmac(manager: Manager, module: Any) -> None:
    answer = await module.workload("POST", at(module, "sign"), SIGN_BODY)
    key = manager.standing.modules.get("modA").primary_key
    assert key is not None
    expected = base64.b64encode(hmac.new(key, b"data", hashlib.sha256).digest()).decode()
    assert (answer.status, answer.json) == (200, {"digest": expected})


async def test_encrypt_then_decrypt(module: Any) -> None:
    vector = base64.b64encode(b"any length").decode()
    plaintext = base64.b64encode(b"secret").decode()
    sealed = await module.workload(
        "POST", at(module, "encrypt"), {"plaintext": plaintext, "initializationVector": vector}
    )
    assert sealed.status == 200
    opened = await module.workload(
        "POST", at(module, "decrypt"), {"ciphertext": sealed.json["ciphertext"], "initializationVector": vector}
    )
    assert (opened.status, opened.json) == (200, {"plaintext": plaintext})
    other = base64.b64encode(b"other vector").decode()
    refused = await module.workload(
        "POST", at(module, "decrypt"), {"ciphertext": sealed.json["ciphertext"], "initializationVector": other}
    )
    assert refused.status == 400
    assert "decrypted" in refused.message


async def test_a_modules_server_certificate_is_fresh_each_time(manager: Manager, module: Any) -> None:
    """root <- intermediate <- device CA <- workload CA <- modA (SAN moda)"""
    first, second = [
        (await module.workload("POST", at(module, "certificate/server"), {"commonName": "modA"})).json for _ in "12"
    ]
    chain = Chain(tuple(load_certificates(first["certificate"].encode())))
    assert first["privateKey"]["type"] == "key"
    assert load_private_key(first["privateKey"]["bytes"].encode()).public_key() == chain.leaf.public_key()
    assert names_in(chain.leaf) == {"moda"}
    assert first["expiration"] == chain.leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert chain.issuers == manager.standing.workload_ca.pair.chain.certificates
    assert verify(chain, manager.standing.anchors, now=manager.standing.time.now(), purpose="server").valid
    assert first["privateKey"] != second["privateKey"]


async def test_a_wished_end_is_kept_to_and_a_past_one_refused(manager: Manager, module: Any) -> None:
    soon = manager.standing.time.now() + timedelta(hours=3)
    answer = await module.workload(
        "POST", at(module, "certificate/server"), {"commonName": "modA", "expiration": soon.isoformat()}
    )
    assert answer.status == 201
    assert answer.json["expiration"] == soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    for path in (at(module, "certificate/server"), "/modules/modA/certificate/identity"):
        past = {"commonName": "modA", "expiration": "2020-01-01T00:00:00Z"}
        assert (await module.workload("POST", path, past)).status == 400


@pytest.mark.parametrize("body", [None, {}, {"expiration": "2026-06-01T13:00:00Z"}])
async def test_the_identity_certificate_says_which_module(manager: Manager, module: Any, body: object) -> None:
    answer = await module.workload("POST", "/modules/modA/certificate/identity", body)
    assert answer.status == 201
    chain = Chain(tuple(load_certificates(answer.json["certificate"].encode())))
    assert common_name(chain.leaf.subject) == "modA"
    names = chain.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uris == ["azureiot://iotedgegw.local/devices/edge-device/modules/modA"]
    assert verify(chain, manager.standing.anchors, now=manager.standing.time.now(), purpose="client").valid
    left = chain.leaf.not_valid_after_utc - manager.standing.time.now()
    assert left == timedelta(hours=1 if body else 2)


@pytest.mark.parametrize("name", ["%24edgeHub", "$edgeHub"])
async def test_the_hub_gets_its_kept_certificate(manager: Manager, hub: Any, name: str) -> None:
    answer = await hub.workload("POST", at(hub, "certificate/server", name), {"commonName": "IotEdgeGW.local"})
    assert answer.status == 201
    kept = manager.standing.hub.pair
    assert answer.json["certificate"].encode() == kept.chain.to_pem()
    assert names_in(kept.chain.leaf) == {"iotedgegw.local", "edgehub"}
    assert load_private_key(answer.json["privateKey"]["bytes"].encode()).public_key() == kept.key.public_key()
    again = await hub.workload("POST", at(hub, "certificate/server", name), {"commonName": "iotedgegw.local"})
    assert again.json == answer.json


async def test_the_hub_gets_another_when_it_is_due(manager: Manager, hub: Any, clock: Any) -> None:
    body = {"commonName": "iotedgegw.local", "expiration": "2026-06-02T00:00:00Z"}
    first = await hub.workload("POST", at(hub, "certificate/server", "$edgeHub"), body)
    clock.forward(timedelta(days=25))
    second = await hub.workload("POST", at(hub, "certificate/server", "$edgeHub"), {"commonName": "iotedgegw.local"})
    assert first.json["certificate"] != second.json["certificate"]
    assert second.json["expiration"].startswith("2026-07-26")


@pytest.mark.parametrize("wanted", ["iotedgegw.local", "IOTEDGEGW.LOCAL", "edgehub", "edgeHub", "modB", "10.0.0.1"])
async def test_a_module_gets_no_name_of_the_hub_or_of_another(module: Any, wanted: str) -> None:
    answer = await module.workload("POST", at(module, "certificate/server"), {"commonName": wanted})
    assert answer.status == 403
    assert "'moda'" in answer.message


@pytest.mark.parametrize("wanted", ["*", "*.local", "a b", ""])
async def test_a_wildcard_is_no_name(module: Any, hub: Any, wanted: str) -> None:
    answer = await module.workload("POST", at(module, "certificate/server"), {"commonName": wanted})
    assert answer.status == 400
    answer = await hub.workload("POST", at(hub, "certificate/server", "$edgeHub"), {"commonName": wanted})
    assert answer.status == 400


async def test_another_modules_request_is_forbidden(manager: Manager, module: Any, program: Start) -> None:
    """modB asks for modA with modA's generation id; so does the hub, and a program that is no module."""
    manager.standing.modules.add("modB")
    other = await (await program()).attach("modB")
    hub = await (await program()).attach("$edgeHub")
    stranger = await program()
    for caller in (other, hub, stranger):
        for path, body in posts(module):
            answer = await caller.workload("POST", path, body)
            assert (answer.status, answer.message) == (403, "forbidden"), path
    for path, body in posts(module):
        assert (await module.workload("POST", path, body)).status in (200, 201), path


async def test_an_unknown_module_is_forbidden_like_a_foreign_one(module: Any) -> None:
    answer = await module.workload("POST", at(module, "sign", "modZ"), SIGN_BODY)
    assert (answer.status, answer.message) == (403, "forbidden")


async def test_another_generation_is_forbidden(module: Any) -> None:
    answer = await module.workload("POST", "/modules/modA/genid/0/sign", SIGN_BODY)
    assert (answer.status, answer.message) == (403, "forbidden")


async def test_a_removed_or_disabled_module_is_forbidden(manager: Manager, module: Any) -> None:
    modules = manager.standing.modules
    with Registry.open(manager.home.registry) as registry:
        registry.set_enabled(modules.device_id, "modA", False)
    assert (await module.workload("POST", at(module, "sign"), SIGN_BODY)).status == 403
    modules.remove("modA")
    assert (await module.workload("POST", at(module, "sign"), SIGN_BODY)).status == 403


@pytest.mark.parametrize("version", API_VERSIONS)
async def test_every_api_version_is_spoken(module: Any, version: str) -> None:
    assert (await module.workload("POST", at(module, "sign"), SIGN_BODY, version=version)).status == 200
    assert (await module.workload("GET", "/trust-bundle", version=version)).status == 200


@pytest.mark.parametrize("version", [None, "", "2018-06-29", "latest"])
async def test_another_api_version_is_refused(module: Any, version: str | None) -> None:
    for method, path in (("GET", "/trust-bundle"), ("GET", "/modules"), ("POST", at(module, "sign"))):
        answer = await module.workload(method, path, SIGN_BODY, version=version)
        assert answer.status == 400
        assert "api-version" in answer.message


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "{",
        "[]",
        "\u00e4",
        {"keyId": "primary", "algo": "HMACSHA256"},
        {"data": "no base64!"},
        {"data": 7},
        {"data": "", "algo": "MD5"},
    ],
)
async def test_a_wrong_body_is_refused(module: Any, body: object) -> None:
    answer = await module.workload("POST", at(module, "sign"), body)
    assert answer.status == 400
    assert answer.message


async def test_wrong_bodies_of_the_others_are_refused(module: Any) -> None:
    for path, _ in posts(module)[1:3]:
        assert (await module.workload("POST", path, {})).status == 400
    bad_end = {"expiration": "tomorrow"}
    assert (await module.workload("POST", "/modules/modA/certificate/identity", bad_end)).status == 400


async def test_a_body_that_is_too_large_is_refused(module: Any) -> None:
    answer = await module.workload("POST", at(module, "sign"), {"data": "A" * 70_000})
    assert answer.status == 413
    assert answer.message


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("POST", "/modules/modA/sign", 404),
        ("POST", "/modules/a%2Fb/genid/1/sign", 404),
        ("POST", "/modules/%FF/genid/1/sign", 400),
        ("POST", "/trust-bundle", 405),
        ("GET", "/modules/modA/genid/1/sign", 405),
    ],
)
async def test_what_is_not_there_is_not_served(module: Any, method: str, path: str, status: int) -> None:
    answer = await module.workload(method, path)
    assert answer.status == status
    assert answer.message


async def test_the_trust_bundle_is_for_everybody(manager: Manager, program: Start, maker: Any) -> None:
    answer = await (await program()).workload("GET", "/trust-bundle")
    assert answer.status == 200
    assert load_certificates(answer.json["certificate"].encode()) == [maker.root.chain.leaf]
    manifest = await (await program()).workload("GET", "/manifest-trust-bundle")
    assert (manifest.status, manifest.json) == (200, {"certificate": ""})


@pytest.mark.parametrize("path", ["/modules", "/modules/"])
async def test_the_list_of_modules_is_for_everybody(module: Any, program: Start, path: str) -> None:
    answer = await (await program()).workload("GET", path)
    assert answer.status == 200
    states = {one["name"]: one["status"]["runtimeStatus"]["status"] for one in answer.json["modules"]}
    assert states == {"$edgeHub": "stopped", "modA": "running"}


async def test_modes_of_the_sockets(manager: Manager, home: Home) -> None:
    for path, mode in ((home.workload_socket, 0o666), (home.management_socket, 0o600)):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert path.stat().st_uid == os.getuid()


async def test_the_sockets_go_when_the_manager_stops(manager: Manager, home: Home) -> None:
    await manager.close()
    assert not home.workload_socket.exists()
    assert not home.management_socket.exists()
