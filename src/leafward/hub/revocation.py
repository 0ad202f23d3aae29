"""Which client certificates are revoked: by the lists that the operator names, and by what a wipe took back.

    [hub] crls = ["line-3.crl"]     signed by a CA that is known here; read again whenever a file changes
    trust/retired.pem               what earlier owners of this gateway had (`hub/retired.py`), published by the manager

A list is believed when a CA of its name signed it: one of `leaf_cas`, of the chain that is served, or of the trust
bundle. A list that cannot be believed stops the start; later it is told, and the one before goes on counting. What is
on a list counts however old the list is: nobody takes back that something was taken back. A certificate that no list
speaks of is not refused for that.

Kept as (issuer, serial number), a hundred bytes each: a connection is judged by a look into a set.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import LeafwardError, SettingsError
from leafward.hub.metrics import HubMetrics
from leafward.hub.retired import read_retired
from leafward.pki.encoding import load_crls
from leafward.pki.extension import serial_number
from leafward.pki.revocation import REMOVED, RevocationList, fault_of

logger = logging.getLogger(__name__)

# A certificate as lists name it: its issuer's name, and its serial number.
CertificateId = tuple[bytes, int]
# A list of a million leaf devices has 40 MB.
LARGEST_LIST = 64 * 1024 * 1024

_Look = tuple[tuple[int, int, int] | None, ...]


def id_of(certificate: x509.Certificate) -> CertificateId:
    """The name by which a list speaks of a certificate."""
    return certificate.issuer.public_bytes(), serial_number(certificate)


class Revocations:
    """What is revoked. `load` at the start; then `look` from time to time, in a thread if need be."""

    def __init__(
        self,
        lists: Sequence[Path],
        retired: Path,
        *,
        cas: Callable[[], Iterable[x509.Certificate]],
        clock: Callable[[], datetime],
        metrics: HubMetrics,
    ) -> None:
        """`cas` gives the CAs whose lists are believed; `retired` is the manager's file, which is believed as it is."""
        self._lists = tuple(lists)
        self._retired = retired
        self._cas = cas
        self._clock = clock
        self._metrics = metrics
        self._revoked: frozenset[CertificateId] = frozenset()
        self._seen: _Look = ()

    def load(self) -> None:
        """Reads all of it. Raises `SettingsError` for a list that cannot be used, `StoreError`, `EncodingError`."""
        seen = self._files()
        self._take(self._read())
        self._seen = seen

    def look(self) -> bool:
        """Reads again what has changed; True when more is revoked than before.

        What cannot be read or believed is told once for each change of the files, and nothing is given up for it.
        """
        seen = self._files()
        if seen == self._seen:
            return False
        self._seen = seen
        before = self._revoked
        try:
            self._take(self._read())
        except LeafwardError as error:
            self._metrics.revocation_failures += 1
            logger.error("the revocation lists of before go on counting: %s", error)
        return not self._revoked <= before

    def __contains__(self, certificate: CertificateId) -> bool:
        return certificate in self._revoked

    def __len__(self) -> int:
        return len(self._revoked)

    def any_of(self, certificates: Iterable[CertificateId]) -> bool:
        """Whether one of these is revoked."""
        return not self._revoked.isdisjoint(certificates)

    def _take(self, revoked: frozenset[CertificateId]) -> None:
        self._revoked = revoked
        self._metrics.revoked_certificates = len(revoked)

    def _read(self) -> frozenset[CertificateId]:
        now = self._clock()
        cas: dict[bytes, list[x509.Certificate]] = {}
        for ca in self._cas():
            cas.setdefault(ca.subject.public_bytes(), []).append(ca)
        found = set(read_retired(self._retired))
        ends: list[datetime] = []
        for path in self._lists:
            for crl in _load(path):
                _believe(crl, cas.get(crl.issuer.public_bytes(), ()), path, now)
                found.update(_entries(crl))
                ends += [crl.next_update_utc] if crl.next_update_utc is not None else []
                if crl.next_update_utc is not None and crl.next_update_utc < now:
                    logger.warning("crl-expired: %s ended at %s; it still counts", path, crl.next_update_utc)
        self._metrics.crl_ends = min(ends).timestamp() if ends else 0.0
        return frozenset(found)

    def _files(self) -> _Look:
        return tuple(_look_at(path) for path in (*self._lists, self._retired))


def _load(path: Path) -> list[RevocationList]:
    try:
        found = load_crls(disk.read_file(path, limit=LARGEST_LIST))
    except LeafwardError as error:
        what = f"hub.crls: {path} cannot be used"
        raise SettingsError(what, why=str(error), hint="it is a file of revocation lists, in PEM or DER") from error
    if not found:
        raise SettingsError(f"hub.crls: {path} has no list", hint="openssl crl -in FILE -noout -text")
    return found


def _believe(crl: RevocationList, cas: Iterable[x509.Certificate], path: Path, now: datetime) -> None:
    """Raises `SettingsError` for a list that none of these CAs, which have its issuer's name, has signed."""
    # A list of tomorrow is as true as its signature: a gateway without a clock shall not start without it.
    now = max(now, crl.last_update_utc)
    faults = [fault_of(crl, ca, now) for ca in cas]
    if None not in faults:
        raise SettingsError(
            f"hub.crls: the list of {crl.issuer.rfc4514_string()} in {path} cannot be believed",
            why=next((why for why in faults if why), "its CA is not known here"),
            hint="hub.leaf_cas names the CAs that sign leaf devices; the list is from one of them",
        )


def _entries(crl: RevocationList) -> Iterable[CertificateId]:
    issuer = crl.issuer.public_bytes()
    return [(issuer, one.serial_number) for one in crl if not _is_released(one)]


def _is_released(entry: x509.RevokedCertificate) -> bool:
    """A hold that was taken back (RFC 5280 5.3.1)."""
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value == REMOVED
    except (x509.ExtensionNotFound, ValueError):
        return False


def _look_at(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
