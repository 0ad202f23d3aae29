"""A leaf's certificate at a hub: what is doubtful about it is settled by a login: only the hub knows what it takes."""

import pytest

from leafward.doctor.case import Case
from leafward.doctor.live_case import server_case
from leafward.doctor.live_handshake import ClientCredential
from leafward.doctor.live_speech import MqttLogin
from leafward.doctor.noted import Noted
from leafward.doctor.runner import Report, diagnose
from leafward.doctor.target_kinds import Target
from tests.doctor.loopback import ADDRESS, insisting, serving, tls
from tests.doctor.real_stacks import pem
from tests.doctor.stack_cases import CASES, NOW
from tests.pki.chain_forge import HOST, client, edge

_HUB = CASES["healthy"]()
_LEAF = client(edge().device_ca, "foo")
_CODES = ("common-name-not-device-id", "client-chain-incomplete")


def _looked(code: str, answer: bytes) -> Report:
    doubt = Noted(code=code, got="foo", expected="pump-7", who="maker", fix="as the settings say")
    base = Case(target="", now=NOW, name=HOST, anchors=tuple(_HUB.anchors), noted=(doubt,))
    login = MqttLogin("pump-7", "gw.test/pump-7/?api-version=2021-04-12", None)
    shown = ClientCredential(pem([_LEAF.certificate]), _LEAF.key_pem)
    with serving(tls(_HUB, insisting, answer=answer)) as port:
        return diagnose(server_case(Target(ADDRESS, port, HOST), base, credential=shown, login=login))


@pytest.mark.parametrize("code", _CODES)
def test_a_hub_that_takes_it(code: str) -> None:
    """Registered by its thumbprint under another name, or the hub has the CAs: **ok**"""
    report = _looked(code, b"\x20\x02\x00\x00")
    assert (report.cause, report.findings) == (None, ())


@pytest.mark.parametrize("code", _CODES)
def test_a_hub_that_does_not(code: str) -> None:
    """What is wrong with it is the cause; the hub's answer fits other explanations, and what tells is said"""
    cause = _looked(code, b"\x20\x02\x00\x05").cause
    assert cause is not None
    assert cause.code == code
    assert "not authorised" in str(cause.evidence["login"])
    assert "thumbprint-mismatch" in cause.alternatives
    assert cause.evidence["look"]
