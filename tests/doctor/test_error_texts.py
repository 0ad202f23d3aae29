"""Error texts: what people paste, to codes; and beside evidence."""

import pytest

from leafward.doctor.case import Case
from leafward.doctor.checks import check
from leafward.doctor.error_narrowing import narrowed, report_of_text
from leafward.doctor.error_texts import _PATTERNS, read_error
from leafward.doctor.runner import diagnose
from tests.doctor.stack_cases import CASES, NOW

TEXTS = {
    "azure.iot.device.exceptions.ConnectionFailedError: [Errno -2] Name or service not known": "name-not-resolved",
    "Error: getaddrinfo ENOTFOUND gateway.local": "name-not-resolved",
    "ConnectionRefusedError: [Errno 111] Connection refused": "port-closed",
    "connect ETIMEDOUT 192.0.2.1:8883": "connect-timeout",
    "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)": "not-tls",
    "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version": "tls-version-unsupported",
    "error:0A000410:SSL routines::sslv3 alert handshake failure": "no-shared-cipher",
    "SSL routines::tlsv13 alert certificate required": "client-certificate-required",
    "error 18 at 0 depth lookup: self-signed certificate": "self-signed-server",
    "verify error:num=19:self signed certificate in certificate chain": "root-not-trusted",
    "NotConnectedError: mqtt.js returned Failure on first connection: unable to verify the first certificate": (
        "intermediate-missing"
    ),
    "ERR_TLS_CERT_ALTNAME_INVALID Hostname/IP does not match certificate's altnames: IP: 192.0.2.1 is not in": (
        "ip-san-missing"
    ),
    "java.security.cert.CertificateException: No name matching gateway.local found": "hostname-mismatch",
    "paho: Connection Refused: not authorised.": "sas-signature-wrong",
    "ValueError: Invalid Connection String": "connection-string-malformed",
    "binascii.Error: Incorrect padding": "shared-access-key-invalid",
    "x509 certificate routines::key values mismatch": "key-mismatch",
}


@pytest.mark.parametrize("text", TEXTS)
def test_likeliest_code(text):
    assert read_error(text).codes[0] == TEXTS[text]


def test_every_code_is_one_of_ours():
    assert not [code for _, codes in _PATTERNS for code in codes if check(code) is None]


def test_unknown_and_hostile_texts():
    """Nothing known: no codes; a megabyte costs no more than a page."""
    assert read_error("something went wrong").codes == ()
    assert read_error("certificate " * 100_000).codes == ()


def test_text_alone():
    """The likeliest as the cause, the others beside it"""
    report = report_of_text(read_error("certificate has expired"), Case(target="text", now=NOW))
    assert report.cause is not None
    assert (report.cause.code, report.cause.alternatives) == ("certificate-expired", ("clock-wrong",))


def test_text_confirms_the_cause():
    report = narrowed(diagnose(CASES["leaf alone"]().case), read_error("unable to get local issuer certificate"))
    assert report.cause is not None
    assert report.cause.code == "intermediate-missing"
    assert "error" in report.cause.evidence


def test_text_of_a_strict_stack_makes_a_warning_the_cause():
    """A device CA without AKI: OpenSSL accepts, Python 3.13 does not; its text says which it was."""
    before = diagnose(CASES["device CA without AKI"]().case)
    assert before.cause is None
    report = narrowed(before, read_error("certificate verify failed: Missing Authority Key Identifier"))
    assert report.cause is not None
    assert (report.verdict, report.cause.code) == ("failed", "authority-key-id-missing")


def test_text_that_the_evidence_does_not_show():
    """A healthy chain, and a leaf that says it has expired: a warning with what else it may be"""
    report = narrowed(diagnose(CASES["healthy"]().case), read_error("certificate has expired"))
    assert (report.verdict, report.cause) == ("warning", None)
    assert any(one.code == "certificate-expired" and "clock-wrong" in one.alternatives for one in report.findings)
