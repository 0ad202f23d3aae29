"""The list by which the device CA takes back what it signed for owners whose time is over.

One file, `manager/retired/crl.pem`, with one list a device CA: that of the present one first, then those of device CAs
before it, as they were. A list holds what every wipe so far retired. Its number is the epoch of the last owner it is
about, so it grows; it ends with the device CA, since nobody signs a new one in between.

A list that is lost is taken from the last receipt that has it.
"""

import itertools
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.errors import LeafwardError, NotFound
from leafward.manager.wipe_epoch import receipts
from leafward.pki.crl import Line, issue_crl
from leafward.pki.encoding import load_crls
from leafward.pki.issuer import Issuer
from leafward.pki.receipt import RetiredCertificate, read_receipt
from leafward.pki.revocation import UNSPECIFIED
from leafward.store.home import Home

REASON = "cessationOfOperation"
# Longer than any device CA lives: the list ends when that does.
_LIFETIME = timedelta(days=365_000)

# A list of a hundred thousand leaf devices has 6 MB.
_MOST = 256 * 1024 * 1024

_log = logging.getLogger(__name__)


def retire(
    home: Home, device_ca: Issuer, certificates: Sequence[RetiredCertificate], *, epoch: int, now: datetime
) -> x509.CertificateRevocationList:
    """The list that retires `certificates` and all before them, kept. One that is there already is not signed again.

    Raises what `issue_crl` raises, and `StoreError`.
    """
    for leftover in disk.leftovers(home.retired) if home.retired.parent.is_dir() else ():
        disk.remove_file(leftover)
    kept = _kept(home)
    ours = next((crl for crl in itertools.chain(kept, _from_receipts(home)) if _is_of(crl, device_ca)), None)
    serials = {int(one.serial, 16) for one in certificates}
    if ours in kept and list_number(ours) >= epoch and serials <= {line.serial for line in _lines(ours)}:
        return ours
    lines = _lines(ours) if ours is not None else []
    fresh = [Line(serial, now, REASON) for serial in sorted(serials - {line.serial for line in lines})]
    number = max(epoch, 1 + (list_number(ours) if ours is not None else 0))
    issued = issue_crl(device_ca, [*lines, *fresh], number=number, now=now, lifetime=_LIFETIME)
    made = x509.load_der_x509_crl(issued.der)
    others = [crl for crl in kept if not _is_of(crl, device_ca)]
    disk.make_folder(home.retired.parent)
    pem = b"".join(crl.public_bytes(Encoding.PEM) for crl in (made, *others))
    disk.write_file(home.retired, pem, mode=disk.PUBLIC)
    return made


def list_number(crl: x509.CertificateRevocationList) -> int:
    """The number of a list; 0 for one without."""
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError):
        return 0


def _kept(home: Home) -> list[x509.CertificateRevocationList]:
    try:
        return load_crls(disk.read_file(home.retired, limit=_MOST))
    except NotFound:
        return []
    except LeafwardError as error:
        _log.warning("%s does not read and is made anew from the receipts: %s", home.retired, error)
        return []


def _from_receipts(home: Home) -> Iterator[x509.CertificateRevocationList]:
    """The lists in the receipts that are kept, the newest first."""
    for _, path in sorted(receipts(home).items(), reverse=True):
        try:
            yield read_receipt(disk.read_file(path)).crl
        except LeafwardError as error:
            _log.warning("the receipt %s does not read: %s", path, error)


def _is_of(crl: x509.CertificateRevocationList, device_ca: Issuer) -> bool:
    leaf = device_ca.chain.leaf
    try:
        return crl.issuer == leaf.subject and crl.is_signature_valid(leaf.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _lines(crl: x509.CertificateRevocationList) -> list[Line]:
    return [Line(one.serial_number, one.revocation_date_utc, _reason(one)) for one in crl]


def _reason(revoked: x509.RevokedCertificate) -> str:
    try:
        return revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        return UNSPECIFIED
