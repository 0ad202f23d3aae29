"""A chain as every picture of it shows it: root first, each certificate with its role and whose half it is.

The maker's half ends with the device CA; what hangs below is the operator's, made anew by the gateway. What nobody on
the gateway renews is a forced event when it ends: leaf devices are refused from then on, unless somebody comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography import x509

from leafward.cli.roles import ROLE_NAMES
from leafward.pki.chain import Chain
from leafward.pki.renewal import RenewalPolicy
from leafward.pki.summary import CertificateSummary, roles, summarise

Half = Literal["maker", "operator"]

# The words of the article's example table.
TITLES = {
    "root_ca": "Root CA Certificate",
    "intermediate_ca": "Intermediate CA Certificate",
    "device_ca": "Device CA Certificate",
    "workload_ca": "Workload CA Certificate",
    "hub_server": "IoT Edge Hub Server Certificate",
    "leaf_device": "Leaf Device Certificate",
}
_RENEWED_HERE = ("workload_ca", "hub_server", "module_server", "module_identity")


@dataclass(frozen=True)
class Shown:
    """One certificate of a chain."""

    certificate: x509.Certificate
    summary: CertificateSummary

    @property
    def role(self) -> str:
        """As a person says it: "device CA"."""
        return ROLE_NAMES.get(self.summary.role, self.summary.role)

    @property
    def title(self) -> str:
        """As the article's table has it."""
        return TITLES.get(self.summary.role, self.role.capitalize())

    @property
    def name(self) -> str:
        """The common name, else the alternative names."""
        plain = " ".join(one.partition(":")[2] or one for one in self.summary.san)
        return self.summary.common_name or plain or "(no name)"

    @property
    def half(self) -> Half:
        """Whose it is."""
        return "operator" if self.renewed_here or self.summary.role == "leaf_device" else "maker"

    @property
    def renewed_here(self) -> bool:
        """Whether the gateway makes it anew by itself."""
        return self.summary.role in _RENEWED_HERE

    @property
    def start(self) -> datetime:
        """notBefore, aware UTC."""
        return self.certificate.not_valid_before_utc

    @property
    def end(self) -> datetime:
        """notAfter, aware UTC."""
        return self.certificate.not_valid_after_utc

    def used(self, now: datetime) -> float:
        """How much of its lifetime is over at `now`: 0 to 1."""
        whole = (self.end - self.start).total_seconds()
        return min(max((now - self.start).total_seconds() / whole, 0.0), 1.0) if whole > 0 else 1.0


@dataclass(frozen=True)
class Event:
    """What comes next: the gateway renews `shown`, or it ends, and then somebody has to act (`forced`)."""

    at: datetime
    shown: Shown
    forced: bool


def top_down(chain: Chain) -> list[Shown]:
    """The certificates of a chain, its top first."""
    pairs = zip(chain.certificates, roles(chain.certificates), strict=True)
    return [Shown(certificate, summarise(certificate, role)) for certificate, role in pairs][::-1]


def next_renewal(shown: Sequence[Shown], policy: RenewalPolicy, now: datetime) -> Event | None:
    """The next certificate that the gateway renews by itself; None where there is none. `now` is aware UTC."""
    due = [Event(max(policy.due(one.certificate), now), one, False) for one in shown if one.renewed_here]
    return min(due, key=lambda event: event.at, default=None)


def next_forced(shown: Sequence[Shown]) -> Event:
    """The first end of what nobody on the gateway renews; of whatever ends first where the gateway renews it all."""
    ends = [Event(one.end, one, True) for one in shown if not one.renewed_here]
    return min(ends or [Event(one.end, one, True) for one in shown], key=lambda event: event.at)
