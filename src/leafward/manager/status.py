"""How the manager stands: what it holds, until when, and what a person should know about it."""

from typing import Any

from cryptography import x509

from leafward.manager.pairs import first_end
from leafward.manager.start import Standing
from leafward.pki.chain import fingerprint
from leafward.pki.names import common_name
from leafward.wire.api_fields import moment


def status_of(standing: Standing) -> dict[str, Any]:
    """The status as JSON values; times are RFC 3339 in UTC."""
    return {
        "hostname": str(standing.settings.hostname),
        "device_id": standing.settings.device.device_id,
        "certificates": {
            "device_ca": _facts(standing.device_ca.chain.leaf),
            "workload_ca": _facts(standing.workload_ca.certificate),
            "hub_server": _facts(standing.hub.certificate),
        },
        "chain_ends": moment(first_end(standing.device_ca.chain)),
        "development": standing.device_ca.development,
        "time": {"now": moment(standing.time.now()), "floor_in_use": standing.time.in_use},
        "warnings": warnings(standing),
    }


def warnings(standing: Standing) -> list[str]:
    """What is to be said loudly, a sentence each."""
    found = []
    if standing.device_ca.development:
        found.append("the device CA is a development one: never ship this gateway with it")
    if standing.time.in_use:
        now, path = moment(standing.time.now()), standing.time.path
        found.append(f"this machine's clock is behind: {now}, known from {path} and the certificates, is used instead")
    return found


def _facts(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "common_name": common_name(certificate.subject),
        "sha256": fingerprint(certificate),
        "not_before": moment(certificate.not_valid_before_utc),
        "not_after": moment(certificate.not_valid_after_utc),
    }
