"""Who is refused at the service's own ports, each by itself, over HTTPS and over MQTT: one answer whatever the reason.

root ── intermediate ── device CA ── leaf "pump-7"       group "line": what the device CA has signed
root B ── intermediate ── device CA: the same names      group "batch": derived keys
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from leafward.provisioning.database import open_provisioning
from leafward.provisioning.enrolling import fresh_etag
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.enrolments import Certificates, EnrolmentBook
from leafward.store.home import Home
from leafward.store.registry import Registry
from leafward.wire import dps
from leafward.wire.mqtt.packets import Connect
from tests.hub.hub_certificates import Held, make
from tests.provisioning.test_provisioning_doors import KEYS, VERSION, ask, mqtt, running, settled, tls, token, user_name
from tests.provisioning.world import SCOPE, Maker, maker, register_body


@pytest.fixture(scope="module")
def ours() -> Maker:
    return maker()


@pytest.fixture(scope="module")
def theirs() -> Maker:
    """Another hierarchy with the same subject names."""
    return maker()


@dataclass
class Service:
    """A running one. `leaf` or `secret` is what a device brings, `name` what it calls itself."""

    home: Home
    ours: Maker
    folder: Path
    mqtt_port: int
    https_port: int
    log: pytest.LogCaptureFixture

    def change(self, enrolment_id: str, **changes: Any) -> None:
        engine = open_provisioning(self.home, ProvisioningTable())
        book = EnrolmentBook(engine)
        found = book.get(enrolment_id, group=True)
        book.replace(replace(found, etag=fresh_etag(), **changes), etag=None)
        engine.dispose()

    async def https(
        self, name: str, leaf: Held | None = None, secret: str | None = None, *, scope: str = SCOPE, body: bytes = b""
    ) -> tuple[int, dict[str, Any]]:
        headers = {} if secret is None else {"Authorization": secret}
        url = f"https://localhost:{self.https_port}{dps.register_path(scope, name)}?{VERSION}"
        context = tls(self.ours, leaf, self.folder)
        async with (
            aiohttp.ClientSession() as session,
            session.put(url, data=body or register_body(name), ssl=context, headers=headers) as answer,
        ):
            return answer.status, await answer.json()

    async def mqtt(
        self, name: str, leaf: Held | None = None, secret: str | None = None, *, scope: str = SCOPE
    ) -> tuple[int, dict[str, Any]]:
        client = await mqtt(self.ours, self.mqtt_port, leaf, self.folder)
        password = None if secret is None else secret.encode()
        await client.connect(Connect(name, 60, username=user_name(name, scope), password=password))
        topic, body = await ask(client, "$dps/registrations/PUT/iotdps-register/?$rid=1", register_body(name))
        await client.close()
        return int(topic.removeprefix("$dps/registrations/res/").partition("/")[0]), body

    async def refuses(self, code: str, *device: Any, **options: Any) -> None:
        """By both; the operator is told `code` in the log, and the device nothing."""
        certificate = len(device) > 1 and isinstance(device[1], Held) and options.get("scope") is None
        expected = (401002, "Invalid certificate") if certificate else (401000, "unauthorized")
        for door in (self.https, self.mqtt):
            self.log.clear()
            status, body = await door(*device, **options)
            assert (status, body["errorCode"], body["message"]) == (401, *expected)
            assert sorted(body) == ["errorCode", "message", "timestampUtc", "trackingId"]
            assert f"{device[0]}: {code}:" in self.log.text
        with Registry.open(self.home.registry) as registry:
            assert registry.count() == (0, 0)

    async def admits(self, *device: Any, **options: Any) -> str:
        """By HTTPS; the operation."""
        status, body = await self.https(*device, **options)
        assert status == 202, body
        return str(body["operationId"])

    async def operation(
        self, name: str, operation: str, leaf: Held | None = None, secret: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {} if secret is None else {"Authorization": secret}
        url = f"https://localhost:{self.https_port}{dps.operation_path(SCOPE, name, operation)}?{VERSION}"
        context = tls(self.ours, leaf, self.folder)
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def service(
    tmp_path: Path, ours: Maker, theirs: Maker, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Service]:
    home = settled(tmp_path / "home", ours, make("localhost", ours.root), proved={"root": ours.root, "b": theirs.root})
    caplog.set_level(logging.WARNING)
    async with running(home, alone=True) as ports:
        assert ports is not None
        yield Service(home, ours, tmp_path, ports.mqtt_port, ports.https_port, caplog)


async def test_an_unknown_registration(service: Service, ours: Maker) -> None:
    """No group for the CA that has signed it; no key that anybody knows."""
    await service.refuses("not-enrolled", "pump-7", ours.leaf("pump-7", issuer=ours.intermediate))
    await service.refuses("sas-signature-wrong", "nobody", None, token("nobody", b"3" * 32))


async def test_a_common_name_that_is_not_the_registration_id(service: Service, ours: Maker) -> None:
    await service.refuses("common-name-not-device-id", "pump-7", ours.leaf("pump-8"))


async def test_a_chain_that_is_not_sent_up_to_a_verified_ca(service: Service, ours: Maker) -> None:
    """The leaf alone, and with its device CA: the intermediate is missing."""
    leaf = ours.leaf("pump-7")
    for sent, code in ((1, "client-chain-incomplete"), (2, "root-not-trusted")):
        # `tls` leaves the last one out, as a root.
        cut = Held(leaf.certificates[: sent + 1], leaf.key)
        await service.refuses(code, "pump-7", cut)
    await service.admits("pump-7", leaf)


async def test_an_expired_leaf(service: Service, ours: Maker) -> None:
    await service.refuses("certificate-expired", "pump-7", ours.leaf("pump-7", days=(-9, -1)))


async def test_a_leaf_that_is_a_ca(service: Service, ours: Maker) -> None:
    await service.refuses("end-entity-is-a-ca", "pump-7", make("pump-7", ours.device_ca, ca=True))


async def test_a_disabled_enrolment(service: Service, ours: Maker) -> None:
    """By certificate and by key; enabled again it admits."""
    for group in ("line", "batch"):
        service.change(group, enabled=False)
    await service.refuses("enrolment-disabled", "pump-7", ours.leaf("pump-7"))
    await service.refuses("enrolment-disabled", "pump-8", None, token("pump-8"))
    service.change("line", enabled=True)
    await service.admits("pump-7", ours.leaf("pump-7"))


async def test_a_group_of_another_hierarchy_with_the_same_names(service: Service, ours: Maker, theirs: Maker) -> None:
    """Both roots are verified; the group is of the other device CA: keys decide, names nothing."""
    await service.refuses("not-enrolled", "pump-7", theirs.leaf("pump-7"))
    service.change("line", attestation=Certificates(theirs.device_ca.leaf))
    await service.refuses("not-enrolled", "pump-7", ours.leaf("pump-7"))
    await service.admits("pump-7", theirs.leaf("pump-7"))


async def test_a_replayed_operation_id(service: Service, ours: Maker) -> None:
    """Another device's, an older one of its own, one that was asked with another certificate of the same name."""
    first, second = ours.leaf("pump-7"), ours.leaf("pump-7")
    old = await service.admits("pump-7", first)
    new = await service.admits("pump-7", first)
    other = await service.admits("pump-8", None, token("pump-8"))
    for name, operation, leaf, secret in (
        ("pump-7", old, first, None),
        ("pump-7", other, first, None),
        ("pump-8", new, None, token("pump-8")),
    ):
        status, body = await service.operation(name, operation, leaf, secret)
        assert (status, body["errorCode"]) == (404, 404201)
    for leaf, secret in ((second, None), (None, None), (ours.leaf("pump-8"), None), (None, token("pump-8"))):
        status, _ = await service.operation("pump-7", new, leaf, secret)
        assert status == 401
    assert (await service.operation("pump-7", new, first))[1]["status"] == "assigned"


async def test_a_wrong_id_scope(service: Service, ours: Maker) -> None:
    await service.refuses("id-scope-wrong", "pump-7", ours.leaf("pump-7"), scope="elsewhere")


async def test_a_sas_with_the_wrong_key(service: Service) -> None:
    """The key of another device of the group, and the group's own."""
    for key in (derived_key(KEYS.primary, "pump-8"), KEYS.primary):
        await service.refuses("sas-signature-wrong", "pump-7", None, token("pump-7", key))


async def test_a_hundred_malformed_bodies_over_mqtt(service: Service) -> None:
    """On one connection and, where that is cut, on the next: 400 or the end; then a good one is admitted."""
    chance, name = random.Random(7), "pump-7"
    good = register_body(name, {"a": [1, 2, {"b": None}]})
    bodies = [chance.randbytes(chance.randint(1, 200)) for _ in range(50)]
    bodies += [good[: chance.randint(1, len(good) - 1)] for _ in range(50)]
    client = await mqtt(service.ours, service.mqtt_port, None, service.folder)
    await client.connect(Connect(name, 60, username=user_name(name), password=token(name).encode()))
    for body in bodies:
        topic, answer = await ask(client, "$dps/registrations/PUT/iotdps-register/?$rid=1", body)
        assert (topic, answer["errorCode"]) == ("$dps/registrations/res/400/?$rid=1", 400000), body
    topic, answer = await ask(client, "$dps/registrations/PUT/iotdps-register/?$rid=1", good)
    assert (topic.partition("&")[0], answer["status"]) == ("$dps/registrations/res/202/?$rid=1", "assigning")
    await client.close()


async def test_who_tries_for_ever_does_not_fill_the_log(service: Service) -> None:
    """So many lines a minute; how many were left out is told."""
    await asyncio.gather(*(service.https("nobody", None, token("nobody", b"3" * 32)) for _ in range(40)))
    assert service.log.text.count("nobody: sas-signature-wrong:") <= 30
