"""What an alert means, given what was shown, what was asked for, and what time it is here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leafward.hub.failures_diagnosis import CLOSED, LEFT, NOT_TLS, TIMED_OUT, Shown, Sight, diagnose, shown
from leafward.hub.failures_findings import _HANDSHAKES
from leafward.pki.chain import Chain
from leafward.wire.tls.alerts import ALERTS
from leafward.wire.tls.client_hello import ClientHello
from tests.hub.hub_certificates import Held

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HELLO = ClientHello("gw.local", ("TLSv1.3",), ("X25519",), 5, ())
GOOD = Shown(
    sha256="ab",
    common_name="gw.local",
    names=("gw.local",),
    addresses=(),
    not_before=NOW - timedelta(days=1),
    not_after=NOW + timedelta(days=1),
    complete=True,
    for_servers=True,
    size=2000,
)


def sight(symptom: str, *, by_client: bool | None = True, name: str | None = "gw.local", **of_shown: Any) -> Sight:
    return Sight(
        symptom=symptom,
        by_client=by_client,
        opening="tls",
        hello=HELLO,
        server_name=name,
        shown=replace(GOOD, **of_shown),
        names=frozenset({"gw.local", "*.wild.example"}),
        now=NOW,
    )


PAST = {"not_after": NOW - timedelta(seconds=1)}
FUTURE = {"not_before": NOW + timedelta(seconds=1)}


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (sight("unknown_ca"), "root-not-trusted"),
        (sight("unknown_ca", complete=False), "intermediate-missing"),
        (sight("certificate_expired", **PAST), "certificate-expired"),
        (sight("certificate_expired"), "clock-wrong"),
        (sight("certificate_expired", **FUTURE), "certificate-not-yet-valid"),
        (sight("bad_certificate", name="other.local"), "hostname-mismatch"),
        (sight("bad_certificate", name="a.wild.example"), "clock-wrong"),
        (sight("bad_certificate", name=None), "hostname-mismatch"),
        (sight("bad_certificate", name="192.0.2.1"), "ip-san-missing"),
        (sight("bad_certificate", name="192.0.2.1", addresses=("192.0.2.2",)), "hostname-mismatch"),
        (sight("bad_certificate", name="192.0.2.1", addresses=("192.0.2.1",)), "clock-wrong"),
        (sight("bad_certificate"), "clock-wrong"),
        (sight("bad_certificate", **PAST), "certificate-expired"),
        (sight("bad_certificate", **FUTURE), "certificate-not-yet-valid"),
        (sight("certificate_unknown"), "root-not-trusted"),
        (sight("certificate_unknown", name="other.local"), "hostname-mismatch"),
        (sight("certificate_unknown", name=None), "root-not-trusted"),
        (sight("unsupported_certificate", for_servers=False), "eku-missing-server-auth"),
        (sight("unsupported_certificate"), "refused-in-handshake"),
        (sight("certificate_revoked"), "certificate-revoked"),
        (sight("decrypt_error"), "root-same-name-different-key"),
        (sight("protocol_version", by_client=False), "tls-version-unsupported"),
        (sight("protocol_version"), "tls-version-unsupported"),
        (sight("inappropriate_fallback", by_client=False), "tls-version-unsupported"),
        (sight("handshake_failure", by_client=False), "no-shared-cipher"),
        (sight("handshake_failure"), "no-shared-cipher"),
        (sight("insufficient_security"), "weak-key"),
        (sight("unrecognized_name", by_client=False, name="x"), "hostname-mismatch"),
        (sight(NOT_TLS, by_client=None), "not-tls"),
        (replace(sight("wrong_version_number", by_client=False), opening="http"), "not-tls"),
        (sight(CLOSED, by_client=None), "refused-in-handshake"),
        (sight(LEFT, by_client=None), "refused-in-handshake"),
        (sight(LEFT, by_client=None, name="other.local"), "hostname-mismatch"),
        (sight(LEFT, by_client=None, **PAST), "certificate-expired"),
        (sight(TIMED_OUT, by_client=None), "connect-timeout"),
        (sight(CLOSED, by_client=None, name="other.local"), "hostname-mismatch"),
        (sight("internal_error"), "refused-in-handshake"),
        (sight("internal_error", name="192.0.2.1"), "ip-san-missing"),
        (sight("internal_error", by_client=False, name="192.0.2.1"), "refused-in-handshake"),
        (sight("alert_200"), "refused-in-handshake"),
    ],
)
def test_the_cause(seen: Sight, code: str) -> None:
    assert diagnose(seen).code == code


def test_the_alternatives_are_other_codes() -> None:
    """Whatever is seen there is a finding for it, and what it may be besides is something else."""
    symptoms = [name for name, _ in ALERTS.values()] + [CLOSED, LEFT, TIMED_OUT, NOT_TLS, "anything"]
    for symptom in symptoms:
        for by_client in (True, False, None):
            for name in ("gw.local", "other.local", None):
                found = diagnose(sight(symptom, by_client=by_client, name=name))
                assert found.code in _HANDSHAKES
                assert found.code not in found.alternatives


def test_what_was_shown(server: Held) -> None:
    """root -> intermediate -> device CA -> workload CA -> localhost; and with a gap at the top."""
    whole = shown(Chain(server.certificates))
    assert (whole.common_name, whole.names, whole.complete) == ("localhost", ("localhost",), True)
    assert (whole.addresses, whole.for_servers) == ((), True)
    assert whole.not_before < datetime.now(UTC) < whole.not_after
    assert not shown(Chain(server.certificates[:-1])).complete
