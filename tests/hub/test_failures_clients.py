"""Real TLS clients that refuse the hub's certificate, each in its own words; the hub tells whose fault it is.

root -> intermediate -> device CA -> workload CA -> localhost, shown to clients that have another root, look for
another name, live in another time, or speak something else
"""

import asyncio
import shutil
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256

from leafward.cli.commands.hub.failures import lines
from leafward.wire.mqtt.packets import Connack
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import HOST, PATIENCE, login
from tests.hub.service_clients import operator

OTHER = "other.test"


@dataclass(frozen=True)
class Roots:
    """Files: the right root, another, and another of the same name."""

    right: Path
    wrong: Path
    twin: Path


@pytest.fixture
def roots(root: Held, tmp_path: Path) -> Roots:
    made = {"right": root, "wrong": make("Another Root", ca=True), "twin": make("Hub Test Root", ca=True)}
    for name, held in made.items():
        (tmp_path / f"{name}.pem").write_bytes(held.pem())
    return Roots(*(tmp_path / f"{name}.pem" for name in made))


async def listed(hub: RunningHub, count: int = 1) -> list[dict[str, Any]]:
    """The lines of the list, the latest first, once there are so many."""
    async with operator(hub) as asking, asyncio.timeout(PATIENCE):
        while True:
            told = await asking.call("GET", "/hub/failures")
            assert told.status == 200, told.body
            if len(told.json["failures"]) >= count:
                return told.json["failures"]  # type: ignore[no-any-return]
            await asyncio.sleep(0.01)


async def run(*command: object) -> None:
    """A client to its end, whatever it says."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await asyncio.wait_for(process.wait(), PATIENCE)


def s_client(hub: RunningHub, name: str, root: Path, *options: str) -> list[object]:
    at = f"127.0.0.1:{hub.at.mqtt_port}"
    common = ["-CAfile", root, "-verify_return_error", "-verify_hostname", name, "-servername", name]
    return ["openssl", "s_client", "-connect", at, *common, *options]


def mosquitto_pub(hub: RunningHub, name: str, *options: object) -> list[object]:
    return ["mosquitto_pub", "-h", name, "-p", hub.at.mqtt_port, "-t", "x", "-m", "y", "-i", "a", *options]


def gnutls_cli(hub: RunningHub, name: str, root: Path) -> list[object]:
    names = ["--sni-hostname", name, "--verify-hostname", name]
    return ["gnutls-cli", "--x509cafile", root, "-p", hub.at.mqtt_port, *names, "127.0.0.1"]


def curl(hub: RunningHub, scheme: str, name: str, root: Path) -> list[object]:
    port = hub.at.https_port
    there = ["--resolve", f"{name}:{port}:127.0.0.1", f"{scheme}://{name}:{port}/"]
    return ["curl", "-sS", "-m", "10", "--cacert", root, *there]


# Of each client: how it is run; then symptom, who said it, code, and another code that it may be.
CLIENTS: dict[str, tuple[Any, tuple[str, str | None, str, str | None]]] = {
    "openssl: another root": (
        lambda h, r: s_client(h, HOST, r.wrong),
        ("unknown_ca", "client", "root-not-trusted", "root-same-name-different-key"),
    ),
    "openssl, TLS 1.2: another root": (
        lambda h, r: s_client(h, HOST, r.wrong, "-tls1_2"),
        ("unknown_ca", "client", "root-not-trusted", None),
    ),
    "openssl: a root of the same name": (
        lambda h, r: s_client(h, HOST, r.twin),
        ("unknown_ca", "client", "root-not-trusted", "root-same-name-different-key"),
    ),
    "openssl: another name": (
        lambda h, r: s_client(h, OTHER, r.right),
        ("bad_certificate", "client", "hostname-mismatch", None),
    ),
    "openssl: in 2033": (
        lambda h, r: s_client(h, HOST, r.right, "-attime", "1999999999"),
        ("certificate_expired", "client", "clock-wrong", None),
    ),
    "openssl: in 1973": (
        lambda h, r: s_client(h, HOST, r.right, "-attime", "100000000"),
        ("bad_certificate", "client", "clock-wrong", "root-not-trusted"),
    ),
    "openssl: TLS 1.1": (
        lambda h, r: s_client(h, HOST, r.right, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
        ("protocol_version", "hub", "tls-version-unsupported", None),
    ),
    "openssl: no cipher of ours": (
        lambda h, r: s_client(h, HOST, r.right, "-tls1_2", "-cipher", "AES128-SHA"),
        ("handshake_failure", "hub", "no-shared-cipher", None),
    ),
    "openssl: no group of ours": (
        lambda h, r: s_client(h, HOST, r.right, "-groups", "P-521"),
        ("handshake_failure", "hub", "no-shared-cipher", None),
    ),
    "curl: another root": (
        lambda h, r: curl(h, "https", HOST, r.wrong),
        ("unknown_ca", "client", "root-not-trusted", None),
    ),
    "curl: another name": (
        lambda h, r: curl(h, "https", OTHER, r.right),
        ("left-without-a-word", None, "hostname-mismatch", None),
    ),
    "curl: plain HTTP": (lambda h, r: curl(h, "http", HOST, r.right), ("not-tls", None, "not-tls", None)),
    "gnutls: another name": (
        lambda h, r: gnutls_cli(h, OTHER, r.right),
        ("bad_certificate", "client", "hostname-mismatch", None),
    ),
    "gnutls: another root": (
        lambda h, r: gnutls_cli(h, HOST, r.wrong),
        ("bad_certificate", "client", "clock-wrong", "root-not-trusted"),
    ),
    "mosquitto: another root": (
        lambda h, r: mosquitto_pub(h, HOST, "--cafile", r.wrong),
        ("unknown_ca", "client", "root-not-trusted", None),
    ),
    "mosquitto: by address": (
        lambda h, r: mosquitto_pub(h, "127.0.0.1", "--cafile", r.right),
        ("internal_error", "client", "ip-san-missing", None),
    ),
    "mosquitto: no TLS": (lambda h, _r: mosquitto_pub(h, "127.0.0.1"), ("not-tls", None, "not-tls", None)),
}


async def test_what_each_client_says(hub: RunningHub, roots: Roots, server: Held) -> None:
    """One hub; each client in turn, and the line that it leaves."""
    for client, (command, (symptom, sent_by, code, alternative)) in CLIENTS.items():
        await run(*command(hub, roots))
        (line, *_) = await listed(hub)
        seen = (line["symptom"], line["evidence"].get("sent_by"), line["code"])
        assert seen == (symptom, sent_by, code), client
        assert alternative is None or alternative in line["alternatives"], client
        assert line["address"] == "127.0.0.1"
        assert line["certificate"] == server.leaf.fingerprint(SHA256()).hex()
        assert line["evidence"]["shown_common_name"] == HOST
        async with operator(hub) as asking:
            assert (await asking.call("DELETE", "/hub/failures")).json == {"cleared": 1}, client


NODE = """
const tls = require('tls'), fs = require('fs');
const [root, port, name] = process.argv.slice(1);
tls.connect({host: '127.0.0.1', port: +port, servername: name, ca: fs.readFileSync(root)}, () => process.exit(1))
  .on('error', () => process.exit(0));
"""


async def test_node_says_nothing(hub: RunningHub, roots: Roots) -> None:
    """It closes; with a name of ours nothing more can be told than that, and both causes are named."""
    await run("node", "-e", NODE, roots.right, hub.at.mqtt_port, OTHER)
    (line,) = await listed(hub)
    assert line["code"] == "hostname-mismatch"
    await run("node", "-e", NODE, roots.wrong, hub.at.mqtt_port, HOST)
    (line, _) = await listed(hub, 2)
    assert line["symptom"] in {"closed", "left-without-a-word"}
    assert (line["code"], line["alternatives"][0]) == ("refused-in-handshake", "root-not-trusted")


async def test_python_s_own_client(hub: RunningHub, roots: Roots) -> None:
    """What the Azure SDK for Python is built on, TLS 1.2 alone. asyncio's client would not send its alert."""
    context = ssl.create_default_context(cafile=str(roots.wrong))
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect() -> None:
        with socket.create_connection(("127.0.0.1", hub.at.mqtt_port)) as raw:
            context.wrap_socket(raw, server_hostname=HOST)

    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(connect)
    (line,) = await listed(hub)
    assert (line["code"], line["server_name"], line["who"]) == ("root-not-trusted", HOST, "leaf")
    assert line["evidence"]["offered_versions"] == ["TLSv1.2"]


async def test_an_alert_after_the_handshake(hub: RunningHub, roots: Roots) -> None:
    """A TLS 1.3 client is through, and then sends an alert: it got a record that it cannot decrypt."""
    context = ssl.create_default_context(cafile=str(roots.right))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.at.mqtt_port)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await asyncio.wait_for(reader.read(65_536), PATIENCE))
    writer.write(outgoing.read())
    incoming.write(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError, match=r"(?i)mac|decrypt"):
        tls.read(100)
    writer.write(outgoing.read())
    (line,) = await listed(hub)
    assert (line["symptom"], line["evidence"]["version"]) == ("bad_record_mac", "TLSv1.3")
    writer.close()


async def test_who_says_nothing_is_nobody_s_failure(hub: RunningHub) -> None:
    """A port check is counted; half a ClientHello that stops is a line."""
    _, writer = await asyncio.open_connection("127.0.0.1", hub.at.mqtt_port)
    writer.close()
    await writer.wait_closed()
    _, writer = await asyncio.open_connection("127.0.0.1", hub.at.mqtt_port)
    writer.write(bytes.fromhex("1603010200010001fc0303"))
    await writer.drain()
    writer.close()
    (line,) = await listed(hub)
    assert (line["symptom"], line["code"], line["severity"]) == ("closed", "refused-in-handshake", "error")
    assert await hub.counted("handshakes_failed_total", "nothing-said") == 1
    assert await hub.counted("handshakes_failed_total", "closed") == 1


async def test_a_handshake_that_stops(make_hub: StartHub) -> None:
    """A whole ClientHello and then silence: what the hub answers does not arrive."""
    hub = await (await make_hub("[hub.limits]\nhandshake_timeout = 0.2\n")).start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=HOST).do_handshake()
    _, writer = await asyncio.open_connection("127.0.0.1", hub.at.mqtt_port)
    writer.write(outgoing.read())
    (line,) = await listed(hub)
    assert (line["code"], line["who"], line["severity"]) == ("connect-timeout", "network", "warning")
    assert line["evidence"]["shown_bytes"] > 1000
    writer.close()


async def test_refused_logins_and_who_has_come_in_since(hub: RunningHub, roots: Roots) -> None:
    """In the same list, with the identity that was claimed; a device that comes in later is marked so."""
    await run(*s_client(hub, HOST, roots.wrong))
    stranger = await hub.client()
    assert await stranger.connect(login("leaf1")) == Connack(5)
    lines_before = await listed(hub, 2)
    assert [(line["kind"], line["code"], line["claimed"]) for line in lines_before] == [
        ("login", "device-unknown", "leaf1"),
        ("handshake", "root-not-trusted", None),
    ]
    assert {line["connected"] for line in lines_before} == {None}
    hub.add("leaf1")
    await hub.connected("leaf1")
    assert all(datetime.fromisoformat(line["connected"]) for line in await listed(hub, 2))
    shown = "\n".join(lines({"since": "2026-07-01T00:00:00+00:00", "failures": await listed(hub, 2)}))
    assert "device-unknown  leaf1 at 127.0.0.1  once" in shown
    assert "root-not-trusted  127.0.0.1 for localhost  once" in shown
    assert "the client said unknown_ca" in shown
    assert "leaf: Give the device the root certificate" in shown
    assert "connected since" in shown


async def test_the_list_outlives_the_hub(hub: RunningHub) -> None:
    """Written when it stops; a device that came before is known by its address again."""
    hub.add("leaf1")
    await hub.connected("leaf1")
    stranger = await hub.client()
    assert await stranger.connect(login("leaf2")) == Connack(5)
    (before,) = await listed(hub)
    await hub.stop()
    await hub.start()
    (after,) = await listed(hub)
    assert after == before
    assert after["device"] == "leaf1"
