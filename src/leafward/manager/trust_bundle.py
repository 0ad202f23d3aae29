"""The roots that modules, the hub and leaf devices are to trust: the operator's bundle and the device CA's own root.

Whoever verifies the hub's chain needs its self-signed root: the device SDKs build no partial chains, so a bundle that
holds only an intermediate helps nobody, and is refused here rather than found out by every leaf device.
"""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import LeafwardError, RuleViolation
from leafward.pki.chain import Chain, fingerprint, is_self_signed
from leafward.pki.encoding import certificate_to_pem, load_certificates
from leafward.store.home import Home

_FOLDER_MODE = 0o755


def read_roots(path: Path | None) -> tuple[x509.Certificate, ...]:
    """The self-signed roots in the operator's bundle; none without one.

    Raises `RuleViolation` ("root-file-is-not-root") naming the file where nothing in it is self-signed.
    """
    if path is None:
        return ()
    try:
        certificates = load_certificates(disk.read_file(path))
    except LeafwardError as error:
        raise type(error)(
            f"the trust bundle {path} cannot be used", why=str(error), hint="give a PEM file of root certificates"
        ) from error
    roots = tuple(certificate for certificate in certificates if is_self_signed(certificate))
    if not roots:
        raise RuleViolation(
            "root-file-is-not-root",
            f"the trust bundle {path} holds no root",
            why=f"none of its {len(certificates)} certificates is self-signed",
            hint="add the root certificate above the device CA to it",
        )
    return roots


def trust_bundle(roots: Sequence[x509.Certificate], device_ca: Chain) -> tuple[x509.Certificate, ...]:
    """The device CA's root first, then the operator's other roots; each once."""
    unique = {fingerprint(root): root for root in (device_ca.top, *roots)}
    return tuple(unique.values())


def bundle_to_pem(roots: Sequence[x509.Certificate]) -> bytes:
    """The roots one after another."""
    return b"".join(certificate_to_pem(root) for root in roots)


def publish(home: Home, roots: Sequence[x509.Certificate]) -> None:
    """Writes the trust bundle and the root certificate for everybody to read; files that are right are left alone.

    On a device that was wiped, the lists of what earlier owners had as well.
    """
    disk.make_folder(home.trust, _FOLDER_MODE)
    with disk.told(f"cannot open {home.trust} to others"):
        # Still empty: a start that was killed may have made it with less than its mode, as the umask wants it.
        if not any(home.trust.iterdir()):
            home.trust.chmod(_FOLDER_MODE)
    files = {home.trust_bundle: bundle_to_pem(roots), home.root_certificate: bundle_to_pem(roots[:1])}
    if home.retired.is_file():
        files[home.published_retired] = disk.read_file(home.retired)
    for path, data in files.items():
        if not disk.holds(path, data):
            disk.write_file(path, data, mode=disk.PUBLIC)
