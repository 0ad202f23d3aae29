"""The two APIs over TCP on the loopback address, where a token says who calls. As on Windows, tested everywhere."""

import asyncio
import contextlib
import http.client
import json
import logging
import stat
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from leafward.errors import Damaged, StoreError
from leafward.manager.daemon import Manager
from leafward.manager.module_list import environment
from leafward.manager.module_tokens import token_of
from leafward.manager.operator_token import OperatorToken
from leafward.store.home import Home

VERSION = "api-version=2022-08-03"
SIGN = {"data": "aGVsbG8="}
SETTINGS = """
[manager]
workload_uri = "http://127.0.0.1:0"
management_uri = "http://localhost:0"
"""


@pytest.fixture
async def manager(home: Home, clock: Any, install: Callable[..., Any]) -> AsyncIterator[Manager]:
    install()
    with home.settings.open("a") as file:
        file.write(SETTINGS)
    async with Manager(home, clock=clock) as running:
        for name in ("modA", "modB"):
            running.standing.modules.add(name)
        yield running


async def ask(
    home: Home, method: str, path: str, body: object = None, *, api: str = "workload", **headers: str
) -> tuple[int, str]:
    """One request by a real client, in a thread."""
    uri = urlsplit((home.sockets / f"{api}.uri").read_text())

    def blocking() -> tuple[int, str]:
        connection = http.client.HTTPConnection(uri.hostname or "", uri.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    return await asyncio.to_thread(blocking)


def variables(manager: Manager, module: str) -> dict[str, str]:
    return environment(manager.standing.modules.get(module), manager.standing.settings, manager.home)


def at(name: str, generation: str, what: str = "sign") -> str:
    return f"/modules/{name}/genid/{generation}/{what}?{VERSION}"


async def test_the_environment_carries_the_token(manager: Manager, home: Home) -> None:
    found = variables(manager, "modA")
    assert found["IOTEDGE_WORKLOADURI"].startswith("http://127.0.0.1:")
    identity = manager.standing.modules.get("modA")
    assert found["IOTEDGE_MODULEGENERATIONID"] == f"{identity.generation_id}.{token_of(identity)}"
    status, text = await ask(home, "POST", at("modA", found["IOTEDGE_MODULEGENERATIONID"]), SIGN)
    assert (status, "digest" in text) == (200, True)


async def test_a_token_in_a_header(manager: Manager, home: Home) -> None:
    """For the one endpoint without a generation id; and for whoever likes it better."""
    identity = manager.standing.modules.get("modA")
    bearer = f"Bearer {token_of(identity)}"
    path = f"/modules/modA/certificate/identity?{VERSION}"
    assert (await ask(home, "POST", path, Authorization=bearer))[0] == 201
    assert (await ask(home, "POST", at("modA", identity.generation_id), SIGN, Authorization=bearer))[0] == 200
    assert (await ask(home, "POST", path))[0] == 403
    assert (await ask(home, "POST", path, Authorization=bearer.replace("Bearer", "Basic")))[0] == 403


async def test_what_was_encrypted_by_one_way_is_decrypted_by_the_other(manager: Manager, home: Home) -> None:
    """The token is no part of the generation that is bound into a ciphertext."""
    identity = manager.standing.modules.get("modA")
    secret = {"plaintext": "aGVsbG8=", "initializationVector": "aXY="}
    _, text = await ask(
        home, "POST", at("modA", variables(manager, "modA")["IOTEDGE_MODULEGENERATIONID"], "encrypt"), secret
    )
    sealed = {"ciphertext": json.loads(text)["ciphertext"], "initializationVector": "aXY="}
    opened = await ask(
        home,
        "POST",
        at("modA", identity.generation_id, "decrypt"),
        sealed,
        Authorization=f"Bearer {token_of(identity)}",
    )
    assert opened == (200, '{"plaintext":"aGVsbG8="}')


async def test_everything_else_is_forbidden(manager: Manager, home: Home) -> None:
    """No token, a wrong one, another module's, one of an earlier registration; none says which."""
    modules = manager.standing.modules
    mine, other = modules.get("modA"), modules.get("modB")
    generations = (
        mine.generation_id,
        f"{mine.generation_id}.",
        f"{mine.generation_id}.{token_of(mine)[:-1]}",
        f"{mine.generation_id}.{token_of(other)}",
        f"{other.generation_id}.{token_of(mine)}",
        f".{token_of(mine)}.",
        f"{mine.generation_id}.\u00e9".encode().hex(),
    )
    for generation in generations:
        assert await ask(home, "POST", at("modA", generation), SIGN) == (403, '{"message":"forbidden"}'), generation
    assert (await ask(home, "POST", at("modA", f"{mine.generation_id}.%C3%A9"), SIGN))[0] == 403
    before = variables(manager, "modA")["IOTEDGE_MODULEGENERATIONID"]
    modules.remove("modA")
    assert (await ask(home, "POST", at("modA", before), SIGN))[0] == 403
    modules.add("modA")
    assert (await ask(home, "POST", at("modA", before), SIGN))[0] == 403
    now = variables(manager, "modA")["IOTEDGE_MODULEGENERATIONID"]
    assert (await ask(home, "POST", at("modA", now), SIGN))[0] == 200


async def test_a_module_has_no_name_of_the_hub(manager: Manager, home: Home) -> None:
    generation = variables(manager, "modA")["IOTEDGE_MODULEGENERATIONID"]
    path = at("modA", generation, "certificate/server")
    assert (await ask(home, "POST", path, {"commonName": "iotedgegw.local"}))[0] == 403
    assert (await ask(home, "POST", path, {"commonName": "modA"}))[0] == 201


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.2"])
async def test_a_web_page_that_points_its_name_at_us(manager: Manager, home: Home, host: str) -> None:
    """DNS rebinding: a browser on this machine sends the page's own name."""
    assert (await ask(home, "GET", f"/trust-bundle?{VERSION}", Host=host))[0] == 421


async def test_tokens_are_shown_nowhere(manager: Manager, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    identity = manager.standing.modules.get("modA")
    token = OperatorToken(home).value()
    listed = await ask(home, "GET", f"/modules?{VERSION}")
    status = await ask(home, "GET", f"/status?{VERSION}", api="management", Authorization=f"Bearer {token}")
    assert (listed[0], status[0]) == (200, 200)
    for text in (listed[1], status[1], caplog.text, repr(identity), repr(OperatorToken(home))):
        assert token_of(identity) not in text
        assert token not in text


async def test_the_management_api_asks_for_the_operators_token(manager: Manager, home: Home) -> None:
    path = f"/modules/modA?{VERSION}"
    token = OperatorToken(home)
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600
    for header in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {token.value()}"}):
        assert (await ask(home, "GET", path, api="management", **header))[0] == 403
    right = {"Authorization": f"Bearer {token.value()}"}
    assert (await ask(home, "GET", path, api="management", **right))[0] == 200
    status, text = await ask(home, "POST", f"/modules/modA/attach?{VERSION}", api="management", **right)
    assert status == 200
    assert json.loads(text)["environment"] == variables(manager, "modA")
    assert (await ask(home, "DELETE", path, api="management", **right))[0] == 204


async def test_the_unix_sockets_serve_as_ever(manager: Manager, home: Home) -> None:
    """And what tells of the ports goes with the manager."""
    reader, writer = await asyncio.open_unix_connection(home.workload_socket)
    writer.write(f"GET /trust-bundle?{VERSION} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await manager.close()
    assert not list(home.sockets.glob("*.uri"))


async def test_a_port_that_is_taken(manager: Manager, home: Home, clock: Any, tmp_path: Any, install: Any) -> None:
    port = urlsplit((home.sockets / "workload.uri").read_text()).port
    other = Home(tmp_path / "other")
    home_text = home.settings.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}")
    other.manager.mkdir(parents=True)
    other.settings.write_text(home_text)
    for name in ("certificate.pem", "key.pem"):
        folder = other.manager / "device-ca"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes((home.manager / "device-ca" / name).read_bytes())
        (folder / name).chmod(0o600)
    with pytest.raises(StoreError, match=f"127.0.0.1:{port}"):
        await Manager(other, clock=clock).start()
    assert not other.management_socket.exists()


def test_a_damaged_operator_token(home: Home) -> None:
    token = OperatorToken(home)
    token.path.parent.mkdir(parents=True)
    token.path.write_text("short")
    with pytest.raises(Damaged, match="no token"):
        token.value()
