"""Error texts: what people paste, to codes; and beside evidence."""

from pathlib import Path

import pytest

from leafward.doctor.case import Case
from leafward.doctor.checks import check
from leafward.doctor.error_narrowing import narrowed, report_of_text
from leafward.doctor.error_texts import _GENERAL, _SPECIAL, read_error
from leafward.doctor.runner import diagnose
from tests.doctor.stack_cases import CASES, NOW

CORPUS = (Path(__file__).parent / "error_texts.tsv").read_text().splitlines()[1:]
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


@pytest.mark.parametrize("line", CORPUS)
def test_likeliest_code_of_what_stacks_print(line):
    code, text = line.split("\t")
    assert next(iter(read_error(text.replace("\\n", "\n")).codes), "-") == code


def test_a_failed_connection_of_node_is_no_refused_login():
    """The SDK says "Not authorized" of everything: no code of a login but where the hub said so."""
    said = "UnauthorizedError: mqtt.js returned Failure on first connection (Not authorized): {} error"
    assert not {"sas-expired", "device-unknown"} & set(read_error(said.format("certificate has expired")).codes)
    assert "device-unknown" in read_error(said.format("Connection refused: Not authorized")).codes


def test_flags_of_mbedtls():
    """0x0C: untrusted and another name; a number that stands alone is no set of flags"""
    codes = read_error("mbedtls_ssl_handshake returned -0x2700, flags=0x0000000c").codes
    assert {"root-not-trusted", "hostname-mismatch"} <= set(codes)
    assert "certificate-expired" not in codes
    assert "certificate-expired" in read_error("verify result: 0x9").codes
    assert read_error("0x0c").codes == ()


def test_every_code_is_one_of_ours():
    assert not [code for _, codes in (*_SPECIAL, *_GENERAL) for code in codes if check(code) is None]


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


def test_a_text_that_says_no_more_than_that_it_failed():
    """Mosquitto: the cause and its other explanation stay as they are, and nothing speaks against them."""
    before = diagnose(CASES["leaf alone"]().case)
    report = narrowed(before, read_error("Error: A TLS error occurred."))
    assert report.cause is not None
    assert before.cause is not None
    assert (report.cause.code, report.cause.alternatives) == (before.cause.code, before.cause.alternatives)
    assert report.findings == before.findings


def test_text_chooses_the_other_explanation():
    """The intermediate is not sent, or the root not trusted: the text tells; who and fix go with it"""
    before = diagnose(CASES["intermediate not sent"]().case)
    assert before.cause is not None
    assert (before.cause.code, before.cause.who) == ("intermediate-missing", "operator")
    cause = narrowed(before, read_error("self-signed certificate in certificate chain")).cause
    assert cause is not None
    assert (cause.code, cause.who, cause.alternatives) == ("root-not-trusted", "leaf", ("intermediate-missing",))
    assert "root certificate" in cause.fix
    assert cause.evidence["look"]


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
