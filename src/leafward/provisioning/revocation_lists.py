"""The revocation lists of registered CAs, read again when a file changes.

A list is believed when the CA on the path has signed it (`pki/rules/revocation.py`), and refuses whom it names; one
that is out of date refuses everybody below its CA, since nobody knows what is on the new one.
"""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import LeafwardError, SettingsError
from leafward.pki.encoding import load_crls

logger = logging.getLogger(__name__)

LARGEST_LIST = 64 * 1024 * 1024
LOOK_SECONDS = 5.0

_Look = tuple[tuple[int, int, int] | None, ...]


class RevocationLists:
    """The lists of these files. `monotonic` gives seconds."""

    def __init__(self, files: Sequence[Path], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._files = tuple(files)
        self._monotonic = monotonic
        self._lists: tuple[x509.CertificateRevocationList, ...] = ()
        self._seen: _Look = ()
        self._next = 0.0

    def load(self) -> None:
        """Reads all of them. Raises `SettingsError` for one that cannot be used."""
        self._seen, self._next = self._look(), self._monotonic() + LOOK_SECONDS
        self._lists = tuple(crl for file in self._files for crl in _load(file))

    def now(self) -> tuple[x509.CertificateRevocationList, ...]:
        """The lists; those of before where a changed file cannot be read."""
        if self._files and self._monotonic() >= self._next:
            self._next = self._monotonic() + LOOK_SECONDS
            if self._look() != self._seen:
                try:
                    self.load()
                except LeafwardError as error:
                    logger.error("the revocation lists of before go on counting: %s", error)
        return self._lists

    def _look(self) -> _Look:
        return tuple(_status(file) for file in self._files)


def _load(file: Path) -> list[x509.CertificateRevocationList]:
    try:
        return list(load_crls(disk.read_file(file, limit=LARGEST_LIST)))
    except LeafwardError as error:
        what = f"provisioning.crls: {file} cannot be used"
        raise SettingsError(what, why=str(error), hint="it is a file of revocation lists, in PEM or DER") from error


def _status(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
