"""Every client model against the real stack: the same verdict, and the same words, on each of the cases.

A stack that is not installed is skipped. What a model claims and no stack here confirmed is not claimed at all.
"""

import re
import shutil
import socket
from contextlib import ExitStack

import pytest
from OpenSSL import SSL

from leafward.cli.doctor_options import CLIENTS as OPTIONS
from leafward.doctor.case import Case
from leafward.doctor.clients import CLIENTS
from leafward.doctor.error_texts import read_error
from leafward.doctor.live_evidence import Attempt, LiveEvidence
from leafward.doctor.runner import diagnose
from leafward.wire.tls.alerts import Alert
from tests.doctor import real_stacks
from tests.doctor.loopback import ADDRESS, serving, tls
from tests.doctor.stack_cases import CASES, shown_cases

_CASES = tuple(shown_cases())
# Against our server, which presents no key that may not sign, mbedTLS meets an alert: it says nothing of a cause.
_SAYS_NOTHING = {("mbedtls", "key may not sign"), ("mbedtls", "key may encipher only")}
# Where only another stack refuses, the doctor finds nothing wrong: IoT leaf devices with it are told by `--as`.
_ITS_OWN_LIMIT = {
    ("mbedtls", "healthy address"),
    ("mbedtls", "healthy by an address of version 6"),
    ("mbedtls", "fenced, inside"),
    ("azure-sdk-node", "healthy by an address of version 6"),
}
_NEEDED = {"openssl": "openssl", "node": "node", "java": "javac", "gnutls": "certtool"}


def _plain(text: str) -> str:
    return re.sub(r" \(_ssl\.c:\d+\)$", "", text)


def _ask(name, c_program, folder):
    if name in real_stacks.SDKS:
        if not real_stacks.sdk_is_here(name):
            pytest.skip(f"{name} is not installed")
        return real_stacks.sdk(name)(_CASES, folder)
    tool = _NEEDED.get(name)
    if tool is not None and shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    if name == "python-3.13-strict" and real_stacks.PYTHON_313 is None:
        pytest.skip("Python 3.13 is not installed")
    asks = {
        "openssl": real_stacks.openssl,
        "python": real_stacks.python,
        "python-3.13-strict": real_stacks.strict,
        "node": real_stacks.node,
        "java": real_stacks.java,
        "gnutls": real_stacks.gnutls,
    }
    ask = asks[name] if name in asks else real_stacks.small(c_program(f"{name}_judge"))
    return ask(_CASES, folder)


@pytest.mark.parametrize("name", CLIENTS)
def test_model_is_the_stack(name, c_program, tmp_path):
    """61 chains, healthy and broken: the verdict and the words; and the words lead back to what the doctor found."""
    answers = dict(zip(CASES, _ask(name, c_program, tmp_path), strict=True))
    wrong = {}
    for label, shown in _CASES:
        real, said = _plain(answers[label]), CLIENTS[name].predict(shown.case)
        words = (
            said.message.removeprefix("verify error:num=").replace(":", " ", 1) if name == "openssl" else said.message
        )
        if (said.accepts, words) != (real == "", real):
            wrong[label] = (real or "accepted", words or "accepted")
    assert not wrong
    assert not _not_led_back(name, answers)


def _not_led_back(name, answers):
    """Texts of a stack that `--error` does not bring to any code that the doctor finds in the same case."""
    lost = {}
    for label, shown in _CASES:
        if not answers[label] or (name, label) in _SAYS_NOTHING | _ITS_OWN_LIMIT:
            continue
        report = diagnose(shown.case)
        found = {one.code for one in (report.cause, *report.findings) if one is not None}
        if not found & set(read_error(answers[label]).codes):
            lost[label] = (answers[label], sorted(found))
    return lost


def test_every_client_has_an_option():
    """`--as` knows the same names as the models."""
    assert tuple(CLIENTS) == OPTIONS
    assert all(client.name == name for name, client in CLIENTS.items())


def test_what_is_not_known_is_not_told():
    """No root, no name, no certificate: the answer says what would be needed."""
    shown = CASES["healthy"]()
    bare = Case(target="x", now=shown.case.now, presented=shown.case.presented)
    for client in CLIENTS.values():
        assert client.predict(bare).accepts is None
        assert "--root" in client.predict(bare).message


def test_azure_sdk_for_python_speaks_tls_12_alone():
    """A server of TLS 1.3 alone: **refused** there, connected in Python itself"""
    shown = CASES["healthy"]()
    good = Attempt(version="any", server_name="x", end="done", step="after the handshake", agreed="TLSv1.3")
    newest = Attempt(version="TLSv1.3", server_name="x", end="done", step="after the handshake", agreed="TLSv1.3")
    alert = Alert.of(70, from_peer=True)
    older = Attempt(version="TLSv1.2", server_name="x", end="alert", step="handshake", alert=alert)
    seen = LiveEvidence(host="x", port=8883, name="x", first=good, others=(older, newest))
    case = Case(
        target="x",
        now=shown.case.now,
        presented=shown.case.presented,
        anchors=shown.case.anchors,
        name=shown.host,
        live=seen,
    )
    said = CLIENTS["azure-sdk-python"].predict(case)
    assert said.accepts is False
    assert said.message == (
        "ConnectionFailedError: Could not connect to IoTHub (caused by SSLError: [SSL: TLSV1_ALERT_PROTOCOL_VERSION] "
        "tlsv1 alert protocol version)"
    )
    assert CLIENTS["python"].predict(case).accepts


@pytest.mark.parametrize("name", real_stacks.SDKS)
def test_words_of_the_sdks_before_a_chain(name):
    """A closed port, plain text, a server that hangs up, one of TLS 1.3 alone: as the SDK says it"""
    if not real_stacks.sdk_is_here(name):
        pytest.skip(f"{name} is not installed")
    shown = CASES["healthy"]()
    with ExitStack() as servers:
        with socket.create_server((ADDRESS, 0)) as one:
            closed = one.getsockname()[1]
        ports = {"refused": closed} | {
            end: servers.enter_context(serving(handler)) for end, handler in _HANDLERS.items()
        }
        roots = real_stacks.pem(shown.anchors)
        said = real_stacks.whole_errors(name, [(shown.host, port, roots) for port in ports.values()])
    real = {end: real_stacks.told(name, causes) for end, causes in zip(ports, said, strict=True)}
    words = CLIENTS[name].words
    assert {end: words[end] for end in ports if end in words} == {end: real[end] for end in ports if end in words}


def _only_13(context):
    context.set_min_proto_version(SSL.TLS1_3_VERSION)


def _speaks_plainly(connection):
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


_HANDLERS = {
    "not-tls": _speaks_plainly,
    "closed": lambda connection: connection.recv(1000),
    "protocol_version": tls(CASES["healthy"](), _only_13),
    "handshake_failure": tls(CASES["key may encipher only"]()),
}
