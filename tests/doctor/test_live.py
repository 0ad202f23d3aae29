"""Live servers: each way to fail before and in the handshake, and an answer in time from whatever stands there.

leaf (doctor) -> loopback server
"""

import socket
import threading
import time
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL

from leafward.doctor.case import Case
from leafward.doctor.clients import CLIENTS
from leafward.doctor.live_case import case_of, server_case
from leafward.doctor.live_evidence import Attempt, LiveEvidence
from leafward.doctor.live_handshake import ClientCredential
from leafward.doctor.live_records import read_records
from leafward.doctor.live_speech import MqttLogin
from leafward.doctor.live_wire import MOST_BYTES
from leafward.doctor.runner import Report, diagnose
from leafward.doctor.target_kinds import Target, is_server, server_of
from leafward.errors import UsageError
from tests.doctor.loopback import ADDRESS, SERVER_HELLO, certificates, insisting, record, serving, tls
from tests.doctor.stack_cases import CASES, NOW, ca, root, server, whole
from tests.oracles.keyring import key_pem
from tests.pki.chain_forge import HOST, key, name

HEALTHY = CASES["healthy"]()
BASE = Case(target="", now=NOW, anchors=tuple(HEALTHY.anchors))


def look(port: int, *, timeout: float = 5.0, base: Case = BASE, host: str = ADDRESS, **more) -> Report:
    return diagnose(server_case(Target(host, port, HOST), base, timeout=timeout, **more))


def cause(report: Report) -> str | None:
    return None if report.cause is None else report.cause.code


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as one:
        return one.getsockname()[1]


def test_healthy():
    """The whole chain as sent; TLS 1.2 and 1.3, with SNI and without"""
    with serving(tls(HEALTHY)) as port:
        report = look(port)
    assert (report.verdict, report.cause) == ("ok", None)
    assert list(report.case.presented) == HEALTHY.chain
    assert [one.agreed for one in report.case.live.attempts] == ["TLSv1.3", "TLSv1.2", "TLSv1.3", "TLSv1.3"]
    assert [one.server_name for one in report.case.live.attempts] == [HOST, HOST, HOST, None]


@pytest.mark.parametrize("label", ["leaf alone", "wrong name", "workload CA expired", "another root, its own sent"])
def test_a_chain_that_does_not_verify_is_read_all_the_same(label):
    shown = CASES[label]()
    base = replace(BASE, anchors=tuple(shown.anchors))
    with serving(tls(shown)) as port:
        report = look(port, base=base)
    assert cause(report) == cause(diagnose(shown.case))
    assert list(report.case.presented) == shown.chain


def test_closed_port():
    assert cause(look(free_port())) == "port-closed"


def test_name_without_an_address():
    assert cause(look(8883, host="no-such-host.invalid")) == "name-not-resolved"


def test_resolver_that_does_not_answer(monkeypatch):
    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [] * done.wait(10))
    begun = time.monotonic()
    report = look(8883, host="slow.test", timeout=0.2)
    assert time.monotonic() - begun < 2
    done.set()
    assert cause(report) == "name-not-resolved"


@pytest.mark.parametrize(
    ("said", "spoken"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\x00\x01\x02garbage that is no TLS at all", ""),
    ],
)
def test_something_else_than_tls(said, spoken):
    with serving(lambda connection: (connection.recv(4096), connection.sendall(said))) as port:
        report = look(port)
    assert cause(report) == "not-tls"
    assert spoken in report.cause.evidence["got"]


def test_plain_mqtt():
    """A broker that hangs up at a ClientHello, and answers a CONNECT in plain MQTT"""

    def broker(connection: socket.socket) -> None:
        if connection.recv(4096)[:1] == b"\x10":
            connection.sendall(b"\x20\x02\x00\x05")

    with serving(broker) as port:
        report = look(port)
    assert cause(report) == "not-tls"
    assert report.cause.evidence["got"].startswith("MQTT")


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_client_certificate_required(version):
    """In TLS 1.3 the handshake is done before the server refuses: it is read once more"""

    def alter(context: SSL.Context) -> None:
        insisting(context)
        context.set_max_proto_version(version)

    with serving(tls(HEALTHY, alter)) as port:
        report = look(port)
    assert cause(report) == "client-certificate-required"
    assert list(report.case.presented) == HEALTHY.chain


def test_client_certificate_shown():
    shown = CASES["healthy below a root"]()
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in shown.chain)
    with serving(tls(HEALTHY, insisting)) as port:
        report = look(port, credential=ClientCredential(pem, key_pem(shown.key)))
        assert (report.verdict, report.cause) == ("ok", None)
        with pytest.raises(UsageError, match="cannot be shown"):
            look(port, credential=ClientCredential(pem, key_pem(key("another"))))


def test_tls_13_alone_is_a_warning():
    """The Azure SDK for Python speaks TLS 1.2 alone."""
    with serving(tls(HEALTHY, lambda context: context.set_min_proto_version(SSL.TLS1_3_VERSION))) as port:
        report = look(port)
    assert (report.verdict, report.cause) == ("warning", None)
    assert [one.code for one in report.findings if one.severity == "warning"] == ["tls-version-unsupported"]


def test_older_tls_alone():
    def alter(context: SSL.Context) -> None:
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)

    with serving(tls(HEALTHY, alter)) as port:
        assert cause(look(port)) == "tls-version-unsupported"


def test_no_shared_cipher():
    def alter(context: SSL.Context) -> None:
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")  # and a key of P-256

    with serving(tls(HEALTHY, alter)) as port:
        assert cause(look(port)) == "no-shared-cipher"


def test_another_certificate_without_sni():
    other = CASES["wrong name"]()

    def alter(context: SSL.Context) -> None:
        def choose(connection: SSL.Connection) -> None:
            if connection.get_servername() is None:
                connection.set_context(_context_of(other))

        context.set_tlsext_servername_callback(choose)

    with serving(tls(HEALTHY, alter)) as port:
        report = look(port)
    assert [one.code for one in report.findings] == ["server-needs-sni"]


def test_what_others_are_shown_is_no_evidence():
    """Refused by name, shown another certificate without one: that one is not judged"""
    refused = Attempt(version="any", server_name=HOST, end="alert", step="handshake")
    nameless = Attempt(version="any", server_name=None, end="done", step="after the handshake", chain=(b"other",))
    seen = LiveEvidence(host=HOST, port=8883, name=HOST, first=refused, others=(nameless,))
    assert seen.chain == ()
    assert replace(seen, first=nameless, others=()).chain == (b"other",)


def _context_of(shown) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(shown.chain[0])
    context.use_privatekey(load_pem_private_key(key_pem(shown.key), None))
    return context


def test_intercepted():
    """root "Zscaler Root CA" -> "Zscaler Intermediate" -> server; the leaf trusts another root"""
    above = root(name("Zscaler Root CA", o="Zscaler Inc."))
    shown = whole(server(ca(name("Zscaler Intermediate", o="Zscaler Inc."), above)))
    with serving(tls(shown)) as port:
        report = look(port)
    assert cause(report) == "tls-intercepted"
    assert report.cause.who == "network"
    assert not any(one.code == "root-not-trusted" for one in report.findings)


def test_a_wrong_clock_shows_by_the_date_of_http():
    """The leaf's clock is two months behind; the server's answer says so"""
    answer = f"HTTP/1.1 404 Not Found\r\nDate: {format_datetime(NOW, usegmt=True)}\r\n\r\n".encode()
    base = replace(BASE, now=NOW - timedelta(days=60))
    with serving(tls(HEALTHY, answer=answer)) as port:
        report = look(port, base=base)
    assert cause(report) == "clock-wrong"
    assert report.case.peer_time == NOW


# ---- the leaf's own login

CONNACK_5, CONNACK_0 = b"\x20\x02\x00\x05", b"\x20\x02\x00\x00"


def _login() -> MqttLogin:
    return MqttLogin("pump-7", "gw.test/pump-7/?api-version=2021-04-12", lambda: "SharedAccessSignature secret")


@pytest.mark.parametrize(("answer", "code"), [(CONNACK_0, None), (CONNACK_5, "sas-signature-wrong")])
def test_login(answer, code):
    """CONNECT with the leaf's token, once the chain is found good; "not authorised" fits several faults"""
    with serving(tls(HEALTHY, answer=answer)) as port:
        report = look(port, login=_login())
    assert cause(report) == code
    if code is not None:
        assert "device-unknown" in report.cause.alternatives
        assert "secret" not in repr(report)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff\xff"])
def test_login_without_a_connack(answer):
    with serving(tls(HEALTHY, answer=answer)) as port:
        report = look(port, login=_login())
    assert cause(report) == "refused-in-handshake"


@pytest.mark.parametrize("label", ["another root", "wrong name", "server expired"])
def test_no_token_for_a_server_that_is_not_trusted(label):
    """Whoever stands there with a bad chain gets no password of the leaf's"""
    shown, asked = CASES[label](), []
    login = MqttLogin("pump-7", "u", lambda: asked.append(1) or "SharedAccessSignature x")
    with serving(tls(shown, answer=CONNACK_0)) as port:
        report = look(port, base=replace(BASE, anchors=tuple(shown.anchors)), login=login)
        without_roots = look(port, base=replace(BASE, anchors=()), login=login)
    assert report.failed
    assert without_roots.case.live.login is None
    assert not asked


# ---- hostile


def _in_time(handler, *, timeout: float = 0.6) -> Report:
    begun = time.monotonic()
    with serving(handler) as port:
        report = look(port, timeout=timeout)
    assert time.monotonic() - begun < timeout + 2
    assert report.failed
    return report


def test_silence():
    assert cause(_in_time(lambda connection: connection.recv(1 << 20) and connection.recv(1))) == "connect-timeout"


def test_half_a_hello():
    """It began and stood still: another fault than a port that says nothing"""
    report = _in_time(
        lambda connection: (
            connection.sendall(b"\x16\x03\x03\x00\x7a\x02") or (connection.recv(1 << 20) and connection.recv(1))
        )
    )
    assert report.cause.evidence["got"] == "a handshake that began and stood still"
    assert not report.cause.alternatives


def test_a_byte_at_a_time():
    """A record that never ends, fed slowly: the deadline is for the whole"""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            connection.sendall(b"\x02")
            time.sleep(0.05)

    assert cause(_in_time(drip)) == "connect-timeout"


def test_endless_bytes():
    """Handshake records without end: refused, and no more is kept than a real server sends"""

    def pour(connection: socket.socket) -> None:
        connection.recv(4096)
        hello = record(22, SERVER_HELLO)
        connection.sendall(hello)
        piece = record(22, b"\x0b\xff\xff\xff" + b"\xff" * 12_000)
        while True:
            connection.sendall(piece)

    report = _in_time(pour, timeout=3.0)
    assert cause(report) in ("refused-in-handshake", "connect-timeout")
    assert sum(map(len, report.case.live.chain)) <= MOST_BYTES


def test_endless_text():
    def pour(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.1 200 OK\r\n" * 4096)

    assert cause(_in_time(pour, timeout=3.0)) == "not-tls"


def test_certificate_that_is_no_asn1():
    """TLS 1.2: ServerHello, then a Certificate message whose second certificate is garbage"""
    good = HEALTHY.chain[0].public_bytes(Encoding.DER)

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(record(22, SERVER_HELLO + certificates(good, b"\x30\x03garbage")))
        connection.recv(4096)

    report = _in_time(serve)
    assert cause(report) == "certificate-malformed"
    assert "certificate 2" in report.cause.evidence["got"]
    assert report.case.presented[0] == HEALTHY.chain[0]


def test_any_byte_of_a_chain_may_be_wrong():
    """Each certificate with one byte turned, at every 7th place: a diagnosis, a prediction, never an exception"""
    ders = [one.public_bytes(Encoding.DER) for one in HEALTHY.chain[:2]]
    for place in range(0, len(ders[1]), 7):
        turned = bytearray(ders[1])
        turned[place] ^= 0x55
        seen = Attempt(version="any", server_name=HOST, end="done", step="handshake", chain=(ders[0], bytes(turned)))
        case = case_of(LiveEvidence(host="x", port=1, name=HOST, first=seen), replace(BASE, name=HOST))
        assert diagnose(case).failed
        assert not any(client.predict(case).accepts for client in CLIENTS.values())


def test_gigantic_chain():
    """More certificates than OpenSSL takes (100 KiB)"""
    shown = replace(HEALTHY, chain=[*HEALTHY.chain, *HEALTHY.chain[1:] * 150])
    report = _in_time(tls(shown), timeout=5.0)
    assert cause(report) == "refused-in-handshake"


@pytest.mark.parametrize("cut", [0, 1, 5, 20, 60])
def test_hangs_up_at_any_byte(cut):
    data = record(22, SERVER_HELLO)[:cut]
    report = _in_time(lambda connection: (connection.recv(4096), connection.sendall(data)), timeout=3.0)
    assert cause(report) in ("refused-in-handshake", "not-tls")


def test_records_are_read_whatever_they_hold():
    """Cut anywhere, turned anywhere: never an exception"""
    data = record(22, SERVER_HELLO + certificates(b"\x30\x00")) + record(21, b"\x02\x28")
    assert read_records(data).alert.name == "handshake_failure"
    for at in range(len(data)):
        read_records(data[:at])
        read_records(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])


# ---- what a target is


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("gateway.local", "gateway.local", 8883),
        ("gateway.local:443", "gateway.local", 443),
        ("192.0.2.1", "192.0.2.1", 8883),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("[2001:db8::1]", "2001:db8::1", 8883),
        ("2001:db8::1", "2001:db8::1", 8883),
        ("localhost", "localhost", 8883),
    ],
)
def test_servers(text, host, port):
    assert is_server(text)
    assert (server_of(text, None).host, server_of(text, None).port) == (host, port)


@pytest.mark.parametrize("text", ["root.pem", "chain.crt", "missing", "some/where.local", "config.toml"])
def test_files_that_are_not_there_are_no_servers(text):
    assert not is_server(text)
