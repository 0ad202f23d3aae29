"""What comes next: one table of moments that the renewal loop waits by, and that status and metrics show.

Every certificate of the hierarchy has one moment: when it is renewed, or, where nobody here can renew it, when it ends.
The end of what cannot be renewed offline (root, intermediates, device CA) is how long leaf devices keep connecting with
no help from outside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509

from leafward.manager.kept_certificate import KeptCertificate
from leafward.manager.start import Standing
from leafward.pki.chain import Chain
from leafward.pki.names import common_name

Doing = Literal["renew", "ends", "module-due"]


@dataclass(frozen=True, slots=True)
class Moment:
    """That something of `name` (a role, or a module's id) happens `at` (aware UTC)."""

    at: datetime
    what: Doing
    name: str


@dataclass(frozen=True, slots=True)
class OfflineEnd:
    """Until when leaf devices keep connecting if nothing comes from outside (aware UTC), and what ends then."""

    at: datetime
    role: str
    certificate: x509.Certificate

    @property
    def sentence(self) -> str:
        """What ends, and what to do about it."""
        name = common_name(self.certificate.subject) or self.certificate.subject.rfc4514_string()
        return f"the {self.role.replace('_', ' ').replace(' ca', ' CA')} {name!r} ends {self.at:%Y-%m-%d %H:%M} UTC"


def offline_end(device_ca: Chain) -> OfflineEnd:
    """The first end among the certificates that this gateway cannot renew by itself, device CA first."""
    last = len(device_ca) - 1
    roles = ["device_ca", *["intermediate_ca"] * (last - 1), "root_ca"] if last else ["device_ca"]
    ends = [
        OfflineEnd(certificate.not_valid_after_utc, role, certificate)
        for role, certificate in zip(roles, device_ca, strict=True)
    ]
    return min(ends, key=lambda end: end.at)


def moments(standing: Standing) -> list[Moment]:
    """The next moment of each thing, soonest first. Those that wait for a retry stand at the retry."""
    now = standing.time.now()
    found = [_device_ca(standing, now), *(_kept(standing, kept, now) for kept in (standing.workload_ca, standing.hub))]
    return sorted([*found, *_modules(standing)], key=lambda moment: moment.at)


def _device_ca(standing: Standing, now: datetime) -> Moment:
    if standing.source.enrolment is None:
        return Moment(offline_end(standing.device_ca.chain).at, "ends", "device_ca")
    due = standing.settings.renewal.policy.due(standing.device_ca.chain.leaf)
    return Moment(_not_before_retry(standing, "device_ca", due, now), "renew", "device_ca")


def _kept(standing: Standing, kept: KeptCertificate, now: datetime) -> Moment:
    due = standing.settings.renewal.policy.due(kept.certificate)
    if kept.fault(kept.pair) is not None:
        due = now
    elif now >= due and kept.due() is None:
        # It lives as long as its issuer: another would end with it.
        return Moment(kept.certificate.not_valid_after_utc, "ends", kept.role)
    return Moment(_not_before_retry(standing, kept.role, due, now), "renew", kept.role)


def _not_before_retry(standing: Standing, role: str, due: datetime, now: datetime) -> datetime:
    retry = standing.journal.of(role).next_try(now)
    return due if retry is None else max(due, retry)


def _modules(standing: Standing) -> Iterator[Moment]:
    for holding in standing.held.untold():
        yield Moment(holding.due, "module-due", holding.module_id)
