"""Server certificates for modules, the hub's before all.

The hub's is kept: asked again, the manager answers with the same one until it is due or no longer right, so that a
restarted hub serves what it served before. Every other module gets a fresh key and certificate with each call.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from leafward.errors import RequestError
from leafward.keys.serial import new_serial
from leafward.manager.kept_certificate import KeptCertificate
from leafward.manager.module_certificate import issue_for_module
from leafward.manager.module_ledger import ModuleLedger
from leafward.manager.pairs import Pair, PairSlots, first_end
from leafward.manager.proof import prove_server
from leafward.manager.server_names import HUB, ServerNames
from leafward.manager.settings import ManagerSettings
from leafward.manager.workload_ca import WorkloadCa
from leafward.pki.chain import Chain
from leafward.pki.constraints import permits_dns
from leafward.pki.key_types import DEFAULT_KEY_TYPE, PublicKey
from leafward.pki.names import Host, HostName, module_dns_name
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

FOLDER = "hub-server"


class HubCertificate(KeptCertificate):
    """The hub's server certificate, kept in `manager/hub-server/`."""

    name = "hub's server certificate"
    role = "hub_server"

    def __init__(
        self,
        folder: Path,
        settings: ManagerSettings,
        names: ServerNames,
        workload_ca: WorkloadCa,
        *,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(PairSlots(folder / FOLDER, DEFAULT_KEY_TYPE), settings.renewal, now)
        self._lifetime = settings.renewal.server_lifetime
        self._names = names
        self._workload_ca = workload_ca

    def fault(self, pair: Pair) -> str | None:
        """See `KeptCertificate.fault`."""
        if pair.chain.issuers != self._workload_ca.pair.chain.certificates:
            return "the workload CA is another"
        if names_in(pair.chain.leaf) != {str(host) for host in self._names.hub} | set(self._own_names()):
            return "the hub's names are others"
        return None

    def longest_end(self) -> datetime:
        """See `KeptCertificate.longest_end`."""
        return first_end(self._workload_ca.pair.chain)

    def issue(self, public_key: PublicKey) -> Chain:
        """See `KeptCertificate.issue`."""
        return self._workload_ca.issuer.prepare(
            profile("hub_server"),
            _request(public_key, self._own_names(), self._names.hub),
            now=self._now(),
            serial=new_serial(),
            lifetime=self._lifetime,
        ).sign()

    def _own_names(self) -> tuple[str, ...]:
        """The module's own DNS name, but not below a device CA that is fenced to other names."""
        above = self._workload_ca.pair.chain
        return tuple(name for name in _module_names(HUB) if permits_dns(above, name))

    def prove(self, pair: Pair) -> None:
        """See `KeptCertificate.prove`."""
        prove_server(pair, self._workload_ca.anchors, self._names.hub, self._now())


class ServerCertificates:
    """What the Workload API's `certificate/server` answers from."""

    def __init__(
        self,
        hub: HubCertificate,
        names: ServerNames,
        workload_ca: WorkloadCa,
        lifetime: timedelta,
        ledger: ModuleLedger | None = None,
    ) -> None:
        """`ledger` keeps in mind what each module was given."""
        self._ledger = ledger
        self._hub = hub
        self._names = names
        self._workload_ca = workload_ca
        self._lifetime = lifetime

    def answer(self, module_id: str, wanted: str, *, expiration: datetime | None, now: datetime) -> Pair:
        """The certificate of `module_id` for the name `wanted`.

        An earlier `expiration` (aware) than ours is kept to, but not for the hub, whose certificate is kept for longer
        than one call. Raises `AccessDenied` for a name that is not the module's, `RequestError` for an end in the past.
        """
        hosts = self._names.granted(module_id, wanted)
        lifetime = shorter_lifetime(self._lifetime, expiration, now)
        if module_id == HUB:
            if self._hub.due() is not None:
                self._hub.renew()
            return self._hub.pair
        pair = issue_for_module(
            self._workload_ca.issuer,
            profile("module_server"),
            lambda key: _request(key, _module_names(module_id), hosts),
            lifetime=lifetime,
            now=now,
        )
        if self._ledger is not None:
            self._ledger.record(module_id, pair.chain.leaf)
        return pair


def shorter_lifetime(longest: timedelta, expiration: datetime | None, now: datetime) -> timedelta:
    """The lifetime until `expiration`, at most `longest`. Raises `RequestError` where that has passed."""
    if expiration is None:
        return longest
    if expiration <= now:
        raise RequestError(
            "the expiration has passed",
            why=f"got {expiration.isoformat()}, now is {now.isoformat()}",
            hint="ask for a later one",
        )
    return min(longest, expiration - now)


def names_in(certificate: x509.Certificate) -> set[str]:
    """The DNS names and addresses in the SAN, as text."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


def _module_names(module_id: str) -> tuple[str, ...]:
    name = module_dns_name(module_id)
    return () if name is None else (name,)


def _request(public_key: PublicKey, own: tuple[str, ...], hosts: tuple[Host, ...]) -> CertificateRequest:
    known = {host.text for host in hosts if isinstance(host, HostName)}
    extra = tuple(name for name in own if name not in known)
    return CertificateRequest(public_key=public_key, hosts=hosts, extra_dns=extra)
