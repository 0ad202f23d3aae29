"""How stacks compare names with a certificate: they differ in wildcards, addresses, and when the common name counts."""

from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509

from leafward.pki.extension import addresses, common_names, dns_names
from leafward.pki.names import Host, HostName


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a certificate, as written."""

    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    common: tuple[str, ...]

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "Names":
        """Those of the SAN and the subject."""
        return cls(dns_names(certificate), addresses(certificate), common_names(certificate))

    @property
    def has_any(self) -> bool:
        """Whether the SAN has a DNS name or an address."""
        return bool(self.dns or self.addresses)

    def fits(self, host: Host, *, one_label: bool = True, common_name: bool = False) -> bool:
        """`one_label`: "*.local" stands for "gw.local" too. `common_name`: it counts as a DNS name."""
        if not isinstance(host, HostName):
            return any(ip_address(one) == host for one in self.addresses)
        names = (*self.dns, *(self.common if common_name else ()))
        return any(fits(one, host.text, one_label=one_label) for one in names)


def fits(pattern: str, host: str, *, one_label: bool) -> bool:
    """Whether a name or wildcard stands for a host, without case.

    >>> fits("*.local", "gw.local", one_label=True), fits("*.local", "gw.local", one_label=False)
    (True, False)
    """
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host
    rest = pattern[2:]
    return host.partition(".")[2] == rest and (one_label or "." in rest)
