"""Certificates out of files that a person named: what is wrong with one is said with its name."""

from pathlib import Path

from cryptography.x509 import Certificate

from leafward import disk
from leafward.errors import EncodingError
from leafward.pki.encoding import load_certificates


def read_certificates(path: Path) -> list[Certificate]:
    """The certificates of a PEM bundle or a DER file. Raises `EncodingError` naming the file, `NotFound`."""
    try:
        return load_certificates(disk.read_file(path))
    except EncodingError as error:
        raise EncodingError(f"{path} cannot be used", why=str(error), hint=error.hint) from error
