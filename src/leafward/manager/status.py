"""How the manager stands: what it holds, until when, what comes next, and what a person should know about it."""

from datetime import datetime
from typing import Any

from cryptography import x509

from leafward.manager.enrolment_report import EnrolmentReport
from leafward.manager.kept_certificate import KeptCertificate
from leafward.manager.pairs import first_end
from leafward.manager.renewal_journal import role_name
from leafward.manager.schedule import Moment, moments, offline_end
from leafward.manager.start import Standing
from leafward.pki.chain import fingerprint
from leafward.pki.names import common_name
from leafward.pki.renewal import warning_days
from leafward.wire.api_fields import moment


def status_of(standing: Standing) -> dict[str, Any]:
    """The status as JSON values; times are RFC 3339 in UTC."""
    end = offline_end(standing.device_ca.chain)
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
        "owner_epoch": standing.owner_epoch,
        "time": clock_facts(standing),
        "next_event": next_event(moments(standing)),
        "safe_offline_until": {
            "at": moment(end.at),
            "role": end.role,
            "common_name": common_name(end.certificate.subject),
            "sha256": fingerprint(end.certificate),
        },
        "renewals": _renewals(standing),
        "enrolment": enrolment_facts(standing),
        "on_probation": _on_probation(standing),
        "subscribers": len(standing.events),
        "warnings": warnings(standing),
    }


def clock_facts(standing: Standing) -> dict[str, Any]:
    """The time that is used, the system's, and what is known of both (docs/clock.md).

    `hard_floor`: it cannot be before; `seen`: the last time seen; `vouched_for`: whether a time server said so.
    """
    facts = standing.time.facts()
    told = {name: moment(value) if isinstance(value, datetime) else value for name, value in facts.items()}
    return {**told, "floor_in_use": standing.time.in_use}


def enrolment_facts(standing: Standing) -> dict[str, Any] | None:
    """How the enrolment of the device CA stands since the start; None where it is not enrolled.

    `state`: "idle" (not asked yet), "good", "failing" (it may mend itself), "refused" (somebody has to act first).
    """
    enrolment, settings = standing.source.enrolment, standing.settings
    if enrolment is None or settings.enrolment is None:
        return None
    report = enrolment.report()
    # An early attempt that failed (asked for by hand) is not repeated before the device CA is due.
    again = [one.at for one in moments(standing) if one.name == "device_ca"]
    identity = standing.journal.of("device_identity").next_try(standing.time.now())
    return {
        "url": settings.enrolment.url,
        "state": _state(report),
        "failures": report.failures,
        "last_attempt": _moment(report.last_attempt),
        "last_success": _moment(report.last_success),
        "last_error": report.last_error,
        "next_attempt": moment(min([*again, *([] if identity is None else [identity])])),
    }


def _state(report: EnrolmentReport) -> str:
    if report.failures:
        return "refused" if report.refused else "failing"
    return "idle" if report.last_attempt is None else "good"


def _moment(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


def next_event(coming: list[Moment]) -> dict[str, Any]:
    """What happens next: "renew" a certificate, one "ends", or a module is told that its own is due ("module-due")."""
    first = coming[0]
    return {"at": moment(first.at), "what": first.what, "name": first.name}


def warnings(standing: Standing) -> list[str]:
    """What is to be said loudly, a sentence each."""
    return [*_of_development(standing), *_of_the_clock(standing), *_of_the_end(standing), *_of_failures(standing)]


def _of_development(standing: Standing) -> list[str]:
    if not standing.device_ca.development:
        return []
    return ["the device CA is a development one: never ship this gateway with it"]


def _of_the_clock(standing: Standing) -> list[str]:
    if not standing.time.in_use:
        return []
    now, path = moment(standing.time.now()), standing.time.path
    return [f"this machine's clock is behind: {now}, known from {path} and the certificates, is used instead"]


def _of_the_end(standing: Standing) -> list[str]:
    """Said at 30, 7 and 1 days: what only a person can put off."""
    end = offline_end(standing.device_ca.chain)
    days = warning_days(end.at, standing.time.now())
    if days is None:
        return []
    what = "it is to be enrolled anew" if standing.source.enrolment is not None else "put a new one in its place"
    within = f"in less than {days} day{'s' if days > 1 else ''}"
    return [f"{end.sentence}, {within}: then no leaf device connects any more; {what} before"]


def _of_failures(standing: Standing) -> list[str]:
    return [
        f"the {role_name(role)} was not renewed at {moment(failure.at)}, the old one is in use: {failure.reason}"
        for role, failure in standing.journal.failures().items()
    ]


def _renewals(standing: Standing) -> dict[str, Any]:
    """By role: how many since the start, the last failure, and when it is tried again."""
    now, found = standing.time.now(), {}
    for role in ("device_ca", "workload_ca", "hub_server"):
        record = standing.journal.of(role)
        failure, retry = record.last_failure, record.next_try(now)
        found[role] = {
            "done": record.done,
            "failed": record.failed,
            "last_failure": None if failure is None else {"at": moment(failure.at), "reason": failure.reason},
            "next_try": None if retry is None else moment(retry),
        }
    return found


def _on_probation(standing: Standing) -> list[str]:
    """What is in use and was not proved by the hub yet: the one before it is kept."""
    kept: tuple[KeptCertificate, ...] = (standing.workload_ca, standing.hub)
    device = ["device_ca"] if standing.current.on_probation else []
    return [*device, *(one.role for one in kept if one.on_probation)]


def _facts(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "common_name": common_name(certificate.subject),
        "sha256": fingerprint(certificate),
        "not_before": moment(certificate.not_valid_before_utc),
        "not_after": moment(certificate.not_valid_after_utc),
    }
