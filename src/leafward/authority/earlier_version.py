"""Homes of the version before the inventory: what they issued is taken into the ledger once.

    issued/SHA256.pem     every certificate below the CAs, as a chain; the folder is renamed when all are in the ledger
    authorities/          the CAs, made with keys of ours

Names were not unique then: of several certificates with one name the newest lives, and the others were replaced by it.
A kill in between changes nothing: what is recorded is passed over the next time.
"""

from collections.abc import Iterator
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import Authorities
from leafward.authority.ledger import Entry, Ledger
from leafward.errors import EncodingError
from leafward.pki.chain import Chain, is_issued_by
from leafward.pki.summary import roles

_FOLDER = "issued"
_TAKEN_OVER = "issued.taken-over"


def take_over(folder: Path, authorities: Authorities, ledger: Ledger) -> int:
    """Records what an earlier version issued in the maker's `folder`. How many certificates; none as a rule.

    Raises `EncodingError` naming a file that is no chain, and as `Ledger.record`.
    """
    issued = folder / _FOLDER
    if not issued.is_dir() and not ledger.inventory.is_empty():
        return 0
    entries = list(_entries(issued, authorities))
    new = [entry for entry in entries if not ledger.inventory.has(entry.sha256)]
    for entry in sorted(new, key=lambda one: (one.not_before, one.sha256)):
        ledger.record([entry], replacing={entry.sha256: None})
    if issued.is_dir():
        with disk.told(f"cannot rename {issued}"):
            issued.rename(folder / _TAKEN_OVER)
            disk.sync_folder(folder)
    return len(new)


def _entries(issued: Path, authorities: Authorities) -> Iterator[Entry]:
    cas = [authority.chain for authority in authorities if authority.key is not None]
    for chain in cas:
        # A CA that somebody else signed is no signature of ours.
        if any(is_issued_by(chain.leaf, other.leaf) for other in cas):
            yield Entry.of(roles(chain.certificates)[0], chain.leaf)
    for file in sorted(issued.glob("*.pem")):
        try:
            chain = Chain.from_pem(disk.read_file(file))
        except EncodingError as error:
            hint = "restore it from a copy, or move it away: then it is not in the inventory"
            raise EncodingError(f"{file} cannot be taken into the inventory", why=str(error), hint=hint) from error
        yield Entry.of(roles(chain.certificates)[0], chain.leaf)
