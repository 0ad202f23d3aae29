"""What earlier owners of this gateway had: certificates that its device CA took back when they left.

The device CA is the same, so a former owner's leaf device would still have a certificate of this gateway, good for any
device of its name that the new owner registers. The manager publishes the device CA's list beside the trust bundle.

A certificate is looked up by its issuer's name and its serial number, however old the list is: nobody takes back that
something was taken back.
"""

from pathlib import Path

from leafward import disk
from leafward.errors import NotFound
from leafward.pki.encoding import load_crls

# (issuer, serial number)
Retired = frozenset[tuple[bytes, int]]
NONE: Retired = frozenset()
# A list of a hundred thousand leaf devices has 6 MB.
_MOST = 256 * 1024 * 1024


def read_retired(path: Path) -> Retired:
    """What the lists in a file retire; nothing where there is no such file. Raises `StoreError`, `EncodingError`."""
    try:
        crls = load_crls(disk.read_file(path, limit=_MOST))
    except NotFound:
        return NONE
    return frozenset((crl.issuer.public_bytes(), one.serial_number) for crl in crls for one in crl)
