"""The workload CA: the operator's own CA on this gateway. It signs the hub's and the modules' certificates.

Made at first start below the device CA; made anew when the device CA is another, or it is due. Its key never leaves
the manager.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward.keys.serial import new_serial
from leafward.manager.current_device_ca import CurrentDeviceCa
from leafward.manager.kept_certificate import KeptCertificate
from leafward.manager.pairs import Pair, PairSlots, first_end
from leafward.manager.proof import prove_ca
from leafward.manager.settings import ManagerSettings
from leafward.manager.wipe_issued import note_issued
from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import DEFAULT_KEY_TYPE, PublicKey
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

FOLDER = "workload-ca"


class WorkloadCa(KeptCertificate):
    """Kept in `manager/workload-ca/`."""

    name = "workload CA"
    role = "workload_ca"

    def __init__(
        self,
        folder: Path,
        settings: ManagerSettings,
        device_ca: CurrentDeviceCa,
        *,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(PairSlots(folder / FOLDER, DEFAULT_KEY_TYPE), settings.renewal, now)
        self._folder = folder
        self._settings = settings
        self._device_ca = device_ca
        self._issuer: tuple[Pair, Issuer] | None = None

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The roots that those who verify what this CA signs are to trust."""
        return self._device_ca.anchors

    @property
    def issuer(self) -> Issuer:
        """Ready to sign. Taken anew for each certificate: a renewal puts another CA in its place."""
        pair = self.pair
        if self._issuer is None or self._issuer[0] is not pair:
            self._issuer = (pair, Issuer(pair.chain, pair.key))
        return self._issuer[1]

    def fault(self, pair: Pair) -> str | None:
        """See `KeptCertificate.fault`."""
        if pair.chain.issuers != self._device_ca.value.chain.certificates:
            return "the device CA is another"
        return None

    def longest_end(self) -> datetime:
        """See `KeptCertificate.longest_end`."""
        return first_end(self._device_ca.value.chain)

    def issue(self, public_key: PublicKey) -> Chain:
        """See `KeptCertificate.issue`."""
        chain = self._device_ca.value.issuer.prepare(
            profile("workload_ca"),
            CertificateRequest(public_key=public_key),
            now=self._now(),
            serial=new_serial(),
            lifetime=self._settings.renewal.workload_ca_lifetime,
        ).sign()
        note_issued(self._folder, FOLDER, chain)
        return chain

    def prove(self, pair: Pair) -> None:
        """See `KeptCertificate.prove`."""
        prove_ca(pair, self._device_ca.anchors, self._settings.hostname, self._now())
