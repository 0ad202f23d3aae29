"""Every client model against the real stack: the same verdict, and the same words, on each of the cases.

A stack that is not installed is skipped. What a model claims and no stack here confirmed is not claimed at all.
"""

import re
import shutil

import pytest

from leafward.cli.doctor_options import CLIENTS as OPTIONS
from leafward.doctor.case import Case
from leafward.doctor.clients import CLIENTS
from leafward.doctor.error_texts import read_error
from leafward.doctor.live_evidence import Attempt, LiveEvidence
from leafward.doctor.runner import diagnose
from leafward.wire.tls.alerts import Alert
from tests.doctor import real_stacks
from tests.doctor.stack_cases import CASES, shown_cases

_CASES = tuple(shown_cases())
# Against our server, which presents no key that may not sign, mbedTLS meets an alert: it says nothing of a cause.
_SAYS_NOTHING = {("mbedtls", "key may not sign"), ("mbedtls", "key may encipher only")}
# Where only another stack refuses, the doctor finds nothing wrong: IoT leaf devices with it are told by `--as`.
_ITS_OWN_LIMIT = {
    ("mbedtls", "healthy address"),
    ("mbedtls", "healthy by an address of version 6"),
    ("mbedtls", "fenced, inside"),
}
_NEEDED = {"openssl": "openssl", "node": "node", "java": "javac", "gnutls": "certtool"}


def _plain(text: str) -> str:
    return re.sub(r" \(_ssl\.c:\d+\)$", "", text)


def _ask(name, c_program, folder):
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


@pytest.mark.parametrize(
    "name", ["openssl", "python", "python-3.13-strict", "node", "java", "mbedtls", "wolfssl", "gnutls"]
)
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
    assert (said.accepts, said.message) == (False, "protocol_version")
    assert CLIENTS["python"].predict(case).accepts
