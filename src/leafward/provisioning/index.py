"""Groups and CAs in memory: few, and asked for by every device. Individual enrolments are read when they are needed."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from leafward.store.enrolments import (
    CaBook,
    CaReferences,
    Certificates,
    Enrolment,
    EnrolmentBook,
    RegisteredCa,
    SymmetricKeys,
)
from leafward.store.enrolments.values import signer_of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it at one moment.

    `vouched`: the verified CAs. `by_signer`: the group of the devices that a CA (`signer_of`) has signed. `derived`:
    the groups by symmetric key.
    """

    vouched: tuple[x509.Certificate, ...] = ()
    by_signer: Mapping[bytes, Enrolment] = field(default_factory=dict)
    derived: tuple[Enrolment, ...] = ()


class Index:
    """Reads again whenever a group or a CA was changed, by whatever process. Thread-safe; raises `StoreError`."""

    def __init__(self, enrolments: EnrolmentBook, cas: CaBook) -> None:
        self._enrolments = enrolments
        self._cas = cas
        self._guard = threading.Lock()
        self._revision = -1
        self._snapshot = Snapshot()

    def now(self) -> Snapshot:
        """As it is now: one small question where nothing was changed."""
        with self._guard:
            revision = self._enrolments.revision()
            if revision != self._revision:
                self._snapshot = _read(self._enrolments, self._cas)
                self._revision = revision
            return self._snapshot


def _read(enrolments: EnrolmentBook, cas: CaBook) -> Snapshot:
    registered = cas.all()
    by_name = {ca.name.lower(): ca for ca in registered}
    by_signer: dict[bytes, Enrolment] = {}
    derived: list[Enrolment] = []
    for group in enrolments.all(group=True):
        if isinstance(group.attestation, SymmetricKeys):
            derived.append(group)
        for signer in _signers(group, by_name):
            # Where two groups name one CA, the first by id decides, also where it is disabled.
            by_signer.setdefault(signer, group)
    return Snapshot(tuple(ca.certificate for ca in registered if ca.verified), by_signer, tuple(derived))


def _signers(group: Enrolment, cas: Mapping[str, RegisteredCa]) -> list[bytes]:
    """The CAs of a group. One that is registered and not verified admits nobody, however it is named."""
    match group.attestation:
        case Certificates():
            unproved = {signer_of(ca.certificate) for ca in cas.values() if not ca.verified}
            return [signer for one in group.attestation.all if (signer := signer_of(one)) not in unproved]
        case CaReferences():
            found = [cas.get(name.lower()) for name in group.attestation.all]
            return [signer_of(ca.certificate) for ca in found if ca is not None and ca.verified]
    return []
