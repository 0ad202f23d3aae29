"""Alerts by number, by OpenSSL's reason and by the standard library's spelling."""

import ssl

import pytest

from leafward.wire.tls.alerts import ALERTS, Alert, alert_of, reason_name, received_alert, sent_alert


def _error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize("number", sorted(ALERTS))
def test_names_round_trip(number: int) -> None:
    """number -> OpenSSL's reason as Python spells it -> the same alert."""
    alert = alert_of(_error(reason_name(1000 + number, "text")))
    assert alert == received_alert(1000 + number) == Alert.of(number, from_peer=True)


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown_ca"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad_certificate"),
        ("SSL/TLS_ALERT_CERTIFICATE_EXPIRED", "certificate_expired"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required"),
        ("TLSV1_UNRECOGNIZED_NAME", "unrecognized_name"),
        ("TLSV1_ALERT_USER_CANCELLED", "user_canceled"),
    ],
)
def test_spellings_of_the_standard_library(reason: str, name: str) -> None:
    alert = alert_of(_error(reason))
    assert alert is not None
    assert (alert.name, alert.from_peer) == (name, True)


@pytest.mark.parametrize(
    "error", [_error("NO_SHARED_CIPHER"), _error("TLSV1_NOT_KNOWN"), ssl.SSLEOFError(8, "EOF"), ValueError("no TLS")]
)
def test_no_alert(error: BaseException) -> None:
    assert alert_of(error) is None


def test_reasons_that_are_no_alerts() -> None:
    assert reason_name(193, "no shared cipher") == "NO_SHARED_CIPHER"
    assert received_alert(193) is None


def test_unregistered_alert() -> None:
    alert = received_alert(1099)
    assert alert is not None
    assert alert.name == "alert_99"


def test_alert_we_send() -> None:
    """Read from the record while it is in the clear; an encrypted one is not guessed at."""
    sent = sent_alert(b"\x16\x03\x03\x00\x01\x00" + b"\x15\x03\x01\x00\x02\x02\x46")
    assert sent == Alert.of(70, from_peer=False)
    assert sent_alert(b"\x17\x03\x03\x00\x13" + b"\x15" * 19) is None
    assert sent_alert(b"") is None
