"""The inclusion proof that goes with a certificate: `NAME.tlog-proof` beside it, for whoever asks the maker to answer.

A proof needs a signed checkpoint. Where the log cannot be signed just now the certificate is issued all the same: it is
in the log, and its proof can be written whenever the key is there again.
"""

from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.authority.ledger import Ledger
from leafward.errors import KeyUnavailable, StoreError
from leafward.pki.chain import fingerprint

ENDING = ".tlog-proof"


def write_proof(ledger: Ledger, certificate: x509.Certificate, path: Path) -> Path:
    """Writes the proof of a certificate that was recorded; replaces what stands there. Where it is.

    Raises `KeyUnavailable` or `StoreError` that say how to get it later, `NotFound` for one that is not of this ledger.
    """
    sha256 = fingerprint(certificate)
    position = ledger.inventory.get(sha256, ledger.clock()).log_index
    try:
        text = str(ledger.log.proof(position))
        disk.make_folder(path.parent)
        disk.write_file(path, text.encode(), mode=disk.PUBLIC)
    except (KeyUnavailable, StoreError) as error:
        later = f"the certificate is issued; its proof later: leafward ca log proof {sha256[:16]} --out {path}"
        error.hint = f"{error.hint}; {later}" if error.hint else later
        raise
    return path
