"""The service's doors: its own socket, whose word for a certificate is believed, and ports where it stands alone.

root ── intermediate ── device CA ── leaf "pump-7"
"""

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.provisioning.daemon import run_provisioning
from leafward.provisioning.database import open_provisioning
from leafward.provisioning.enrolling import fresh_etag, new_code, register_ca, verify_ca
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.listen_on import ListenOn
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.enrolments import CaBook, Certificates, Enrolment, EnrolmentBook, SymmetricKeys
from leafward.store.home import Home
from leafward.wire import dps, dps_door, sas
from leafward.wire.mqtt.packets import Connect, Publish
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import Client
from tests.provisioning.world import PATIENCE, SCOPE, Maker, maker, register_body

VERSION = "api-version=2019-03-31"
SERVICE = "api-version=2021-10-01"
KEYS = SymmetricKeys(b"1" * 32, b"2" * 32)


@pytest.fixture(scope="module")
def ours() -> Maker:
    return maker()


@pytest.fixture(scope="module")
def server(ours: Maker) -> Held:
    return make("localhost", ours.root)


@pytest.fixture
def home(tmp_path: Path, ours: Maker, server: Held) -> Home:
    return settled(tmp_path / "home", ours, server, proved={"root": ours.root})


def settled(folder: Path, ours: Maker, server: Held, *, proved: dict[str, Held]) -> Home:
    """A group by the device CA, one by key; a certificate to listen with; CAs that are proved."""
    made = Home(folder)
    made.root.mkdir()
    (made.root / "server.pem").write_bytes(server.pem())
    (made.root / "server.key").write_bytes(server.key_pem())
    made.settings.write_text(
        '[device]\nhostname = "gateway.test"\n[provisioning.listen]\ncertificate = "server.pem"\nkey = "server.key"\n'
    )
    now = datetime.now(UTC)
    engine = open_provisioning(made, ProvisioningTable())
    cas = CaBook(engine)
    for name, ca in proved.items():
        register_ca(cas, name, ca.leaf, now)
        code = new_code(cas, name, now).code or ""
        verify_ca(cas, name, make(code, ca, client=True).leaf, now)
    for name, attestation in (("line", Certificates(ours.device_ca.leaf)), ("batch", KEYS)):
        EnrolmentBook(engine).add(Enrolment(name, True, attestation, now, now, fresh_etag()))
    engine.dispose()
    return made


@contextlib.asynccontextmanager
async def running(home: Home, *, alone: bool = False) -> AsyncIterator[ListenOn | None]:
    stop = asyncio.Event()
    ready: asyncio.Future[ListenOn | None] = asyncio.get_running_loop().create_future()
    listen = ListenOn("127.0.0.1", 0, 0) if alone else None
    service = run_provisioning(home, clock=lambda: datetime.now(UTC), stop=stop, ready=ready.set_result, listen=listen)
    task = asyncio.create_task(service)
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE)


@contextlib.asynccontextmanager
async def by_socket(home: Home) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(path=str(home.provisioning_socket))
    async with aiohttp.ClientSession(connector=connector, base_url="http://provisioning") as session:
        yield session


def token(name: str, key: bytes | None = None) -> str:
    expiry = int(datetime.now(UTC).timestamp()) + 3600
    return sas.sign(dps.resource(SCOPE, name), key or derived_key(KEYS.primary, name), expiry, dps.KEY_NAME)


def tls(ours: Maker, leaf: Held | None, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ours.root.pem().decode())
    if leaf is not None:
        chain = b"".join(one.public_bytes(Encoding.PEM) for one in leaf.certificates[:-1])
        (tmp_path / "leaf.pem").write_bytes(chain)
        (tmp_path / "leaf.key").write_bytes(leaf.key_pem())
        context.load_cert_chain(tmp_path / "leaf.pem", tmp_path / "leaf.key")
    return context


# ---- the socket


async def test_what_the_hub_hands_on(home: Home, ours: Maker) -> None:
    """The chain in the hub's header is what the device has proved; why one is refused goes back to the hub."""
    leaf, path = ours.leaf("pump-7"), f"{dps.register_path(SCOPE, 'pump-7')}?{VERSION}"
    async with running(home), by_socket(home) as session:
        headers = {dps_door.CHAIN: dps_door.write_chain(leaf.certificates[:-1]), dps_door.OPENS_HUB: "1"}
        async with session.put(path, data=register_body("pump-7"), headers=headers) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (202, "2")
        headers[dps_door.CHAIN] = dps_door.write_chain([leaf.leaf])
        async with session.put(path, data=register_body("pump-7"), headers=headers) as answer:
            error = await answer.json()
            assert (answer.status, error["errorCode"], error["message"]) == (401, 401002, "Invalid certificate")
            assert answer.headers[dps_door.WHY].startswith("client-chain-incomplete;")
        headers[dps_door.CHAIN] = "x" * 100
        async with session.put(path, data=register_body("pump-7"), headers=headers) as answer:
            assert answer.status == 400


async def test_another_user_s_process(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should it ever come to the socket: the kernel says whose it is, and its certificates are nobody's."""
    monkeypatch.setattr("leafward.provisioning.local_socket._caller", lambda _request: 4711)
    async with running(home), by_socket(home) as session, session.get("/health") as answer:
        assert answer.status == 403


async def test_enrolments_by_the_service_api(home: Home, ours: Maker) -> None:
    """Made, shown without keys, changed by its ETag and not by an old one, listed, removed."""
    body: dict[str, Any] = {
        "registrationId": "pump-9",
        "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}},
        "initialTwin": {"tags": {"line": 3}, "properties": {"desired": {"interval": 5}}},
        "allocationPolicy": "static",
        "iotHubs": ["gateway.test"],
    }
    async with running(home), by_socket(home) as session:
        url = f"/enrollments/pump-9?{SERVICE}"
        async with session.put(url, json=body) as answer:
            made = await answer.json()
            assert answer.status == 200
            assert answer.headers["ETag"] == f'"{made["etag"]}"'
            assert made["attestation"] == {"type": "symmetricKey", "symmetricKey": {}}
            assert (made["provisioningStatus"], made["allocationPolicy"]) == ("enabled", "static")
        async with session.post(f"/enrollments/pump-9/attestationmechanism?{SERVICE}") as answer:
            keys = (await answer.json())["symmetricKey"]
            assert len(keys["primaryKey"]) == 88
        changed = {**made, "provisioningStatus": "disabled"}
        for etag, status in ((None, 409), ('"other"', 412), (f'"{made["etag"]}"', 200), (f'"{made["etag"]}"', 412)):
            headers = {} if etag is None else {"If-Match": etag}
            async with session.put(url, json=changed, headers=headers) as answer:
                assert answer.status == status
        async with session.post(f"/enrollments/pump-9/attestationmechanism?{SERVICE}") as answer:
            assert (await answer.json())["symmetricKey"] == keys
        async with session.post(
            f"/enrollmentGroups/query?{SERVICE}", json={"query": "SELECT * FROM enrollmentGroups"}
        ) as answer:
            assert [one["enrollmentGroupId"] for one in await answer.json()] == ["batch", "line"]
        headers = {"x-ms-max-item-count": "1"}
        async with session.post(f"/enrollmentGroups/query?{SERVICE}", json={}, headers=headers) as answer:
            assert (len(await answer.json()), answer.headers["x-ms-continuation"]) == (1, "batch")
        async with session.get(f"/enrollmentGroups/line?{SERVICE}") as answer:
            shown = (await answer.json())["attestation"]["x509"]["signingCertificates"]["primary"]
            assert shown["info"]["subjectName"] == ours.device_ca.leaf.subject.rfc4514_string()
        for status in (204, 404):
            async with session.delete(url) as answer:
                assert answer.status == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"attestation": {"type": "magic"}},
        {"attestation": {"type": "x509", "x509": {}}},
        {"attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "AAAA"}}}}},
        {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "AAAA"}}},
        {"attestation": {"type": "tpm", "tpm": {}}},
        {"attestation": {"type": "symmetricKey"}, "allocationPolicy": "custom"},
        {"attestation": {"type": "symmetricKey"}, "provisioningStatus": "perhaps"},
        {"attestation": {"type": "symmetricKey"}, "initialTwin": {"properties": {"reported": {}}}},
        {"attestation": {"type": "symmetricKey"}, "iotHubs": "gateway"},
        {"attestation": {"type": "symmetricKey"}, "registrationId": "pump-10"},
    ],
)
async def test_malformed_enrolments(home: Home, body: dict[str, Any]) -> None:
    """400, and nothing is kept."""
    async with running(home), by_socket(home) as session:
        async with session.put(f"/enrollments/pump-9?{SERVICE}", json=body) as answer:
            assert answer.status == 400, await answer.text()
        async with session.get(f"/enrollments/pump-9?{SERVICE}") as answer:
            assert answer.status == 404


async def test_registrations_by_the_service_api(home: Home) -> None:
    """What a group has admitted; forgotten by the ETag."""
    async with running(home), by_socket(home) as session:
        headers = {"Authorization": token("pump-7")}
        path = f"{dps.register_path(SCOPE, 'pump-7')}?{VERSION}"
        async with session.put(path, data=register_body("pump-7"), headers=headers) as answer:
            assert answer.status == 202
        async with session.get(f"/registrations/PUMP-7?{SERVICE}") as answer:
            state = await answer.json()
            assert (state["status"], state["assignedHub"]) == ("assigned", "gateway.test")
        async with session.post(f"/registrations/batch/query?{SERVICE}", json={}) as answer:
            assert [one["registrationId"] for one in await answer.json()] == ["pump-7"]
        for etag, status in (("x", 412), (state["etag"], 204)):
            async with session.delete(f"/registrations/pump-7?{SERVICE}", headers={"If-Match": etag}) as answer:
                assert answer.status == status


async def test_a_hundred_malformed_bodies(home: Home) -> None:
    """Bits turned over, cut short, of other kinds: 400 or 413 each time, and the service goes on."""
    chance = random.Random(7)
    good = register_body("pump-7", {"a": [1, 2, {"b": None}]})
    path = f"{dps.register_path(SCOPE, 'pump-7')}?{VERSION}"
    bodies = [bytes(chance.randbytes(chance.randint(1, 200))) for _ in range(40)]
    bodies += [good[: chance.randint(1, len(good) - 1)] for _ in range(30)]
    bodies += [json.dumps(value).encode() for value in ([], 1, "x", None, True, {"registrationId": []}, {"x": 1})]
    bodies += [b'{"registrationId":"pump-7","payload":NaN}', b"[" * 5000, b'{"registrationId":"pump-7","tpm":7}']
    bodies += [b'{"registrationId":"' + b"p" * count + b'"}' for count in (0, 129, 4000, 70_000)]
    bodies += [json.dumps({"registrationId": "pump-7", "payload": "x" * count}).encode() for count in (8192, 60_000)]
    bodies += [b'{"registrationId":"pump-7"} ' + bytes([octet]) for octet in range(128, 142)]
    assert len(bodies) == 100
    async with running(home), by_socket(home) as session:
        headers = {"Authorization": token("pump-7")}
        for body in bodies:
            async with session.put(path, data=body, headers=headers) as answer:
                assert answer.status in (400, 413), body[:80]
                assert (await answer.json())["errorCode"] // 1000 == answer.status
        async with session.put(path, data=good, headers=headers) as answer:
            assert answer.status == 202


# ---- a service alone


async def test_alone_over_https(home: Home, ours: Maker, tmp_path: Path) -> None:
    """Mutual TLS to the service itself. What a device writes into the hub's headers is nothing here."""
    leaf = ours.leaf("pump-7")
    forged = {dps_door.CHAIN: dps_door.write_chain(ours.leaf("pump-8").certificates[:-1]), dps_door.OPENS_HUB: "1"}
    async with running(home, alone=True) as ports, aiohttp.ClientSession() as session:
        assert ports is not None
        base = f"https://localhost:{ports.https_port}"
        with_leaf, without = tls(ours, leaf, tmp_path), tls(ours, None, tmp_path)
        url = f"{base}{dps.register_path(SCOPE, 'pump-7')}?{VERSION}"
        async with session.put(url, data=register_body("pump-7"), ssl=with_leaf) as answer:
            begun = await answer.json()
            assert answer.status == 202
        url = f"{base}{dps.operation_path(SCOPE, 'pump-7', begun['operationId'])}?{VERSION}"
        async with session.get(url, ssl=with_leaf) as answer:
            state = (await answer.json())["registrationState"]
            assert (state["status"], state["deviceId"]) == ("assigned", "pump-7")
        url = f"{base}{dps.register_path(SCOPE, 'pump-8')}?{VERSION}"
        async with session.put(url, data=register_body("pump-8"), ssl=without, headers=forged) as answer:
            assert answer.status == 401
            assert dps_door.WHY not in answer.headers
        async with session.get(f"{base}/enrollments/pump-7?{SERVICE}", ssl=with_leaf) as answer:
            assert answer.status == 404


def user_name(name: str, scope: str = SCOPE) -> str:
    return f"{scope}/registrations/{name}/api-version=2019-03-31&ClientVersion=test"


async def mqtt(ours: Maker, port: int, leaf: Held | None, tmp_path: Path) -> Client:
    context = tls(ours, leaf, tmp_path)
    return Client(*await asyncio.open_connection("localhost", port, ssl=context))


async def ask(client: Client, topic: str, body: bytes = b" ") -> tuple[str, dict[str, Any]]:
    """(topic, body) of the answer."""
    await client.publish(topic, body)
    answers = [await client.receive(), await client.receive()]
    (answer,) = [one for one in answers if isinstance(one, Publish)]
    return answer.topic, json.loads(answer.payload)


@pytest.mark.parametrize("proof", ["certificate", "token"])
async def test_alone_over_mqtt(home: Home, ours: Maker, tmp_path: Path, proof: str) -> None:
    """CONNECT, SUBSCRIBE, register, ask, and be told."""
    leaf = ours.leaf("pump-7") if proof == "certificate" else None
    password = None if leaf is not None else token("pump-7").encode()
    async with running(home, alone=True) as ports:
        assert ports is not None
        client = await mqtt(ours, ports.mqtt_port, leaf, tmp_path)
        connack = await client.connect(Connect("pump-7", 60, username=user_name("pump-7"), password=password))
        assert connack.return_code == 0
        assert await client.subscribe("$dps/registrations/res/#", "#") == (1, 0x80)
        topic, body = await ask(client, "$dps/registrations/PUT/iotdps-register/?$rid=a%20b", register_body("pump-7"))
        assert topic == "$dps/registrations/res/202/?$rid=a%20b&retry-after=2"
        where = f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={body['operationId']}"
        topic, body = await ask(client, where)
        assert (topic, body["status"]) == ("$dps/registrations/res/200/?$rid=2", "assigned")
        topic, body = await ask(client, where.replace("operationId=5", "operationId=6"))
        assert (topic, body["errorCode"]) == ("$dps/registrations/res/404/?$rid=2", 404201)
        assert await client.alive()
        await client.close()


@pytest.mark.parametrize("defect", ["another client id", "no registration", "a device's topic", "nothing proved"])
async def test_alone_over_mqtt_refused(home: Home, ours: Maker, tmp_path: Path, defect: str) -> None:
    """At CONNECT, at the first wrong topic, or with the registration."""
    async with running(home, alone=True) as ports:
        assert ports is not None
        client = await mqtt(ours, ports.mqtt_port, None, tmp_path)
        match defect:
            case "another client id":
                answer = await client.connect(Connect("pump-8", 60, username=user_name("pump-7")))
                assert answer.return_code == 5
            case "no registration":
                answer = await client.connect(Connect("pump-7", 60, username="hub/pump-7/?api-version=2019-10-01"))
                assert answer.return_code == 5
            case "a device's topic":
                await client.connect(Connect("pump-7", 60, username=user_name("pump-7")))
                await client.publish("devices/pump-7/messages/events/")
            case "nothing proved":
                await client.connect(Connect("pump-7", 60, username=user_name("pump-7")))
                topic, body = await ask(
                    client, "$dps/registrations/PUT/iotdps-register/?$rid=1", register_body("pump-7")
                )
                assert (topic, body["errorCode"]) == ("$dps/registrations/res/401/?$rid=1", 401000)
                await client.close()
                return
        assert await client.closed()
        await client.close()


async def test_alone_without_a_certificate(home: Home) -> None:
    """Says which setting is missing."""
    from leafward.errors import SettingsError

    home.settings.write_text('[device]\nhostname = "gateway.test"\n')
    with pytest.raises(SettingsError, match="needs a certificate"):
        async with running(home, alone=True):
            pass
