"""The root certificate that goes into trust stores and out of them: known by its fingerprint, never by its name.

Development roots are often named alike, so a name would find somebody else's certificate.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.cli.certificate_files import read_certificates
from leafward.errors import RuleViolation, UsageError
from leafward.pki.chain import fingerprint, is_self_signed
from leafward.pki.encoding import certificate_to_pem
from leafward.pki.names import common_name

_BLOCK = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_LABEL_DIGITS = 16  # of the fingerprint: 64 bits, more than enough apart for the roots on one machine


@dataclass(frozen=True)
class Anchor:
    """A self-signed root, and the file it came from."""

    certificate: x509.Certificate
    path: Path

    @property
    def sha256(self) -> str:
        """64 lower-case hexadecimal digits."""
        return fingerprint(self.certificate)

    @property
    def sha1(self) -> str:
        """What Windows names a certificate by; 40 lower-case hexadecimal digits."""
        return self.certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - a name, no protection

    @property
    def label(self) -> str:
        """The name it gets in a store: file name, nickname or alias. The same root always gets the same."""
        return f"leafward-{self.sha256[:_LABEL_DIGITS]}"

    @property
    def name(self) -> str:
        """What a person calls it."""
        return common_name(self.certificate.subject) or self.certificate.subject.rfc4514_string()

    @property
    def pem(self) -> bytes:
        """The certificate alone, whatever else its file holds."""
        return certificate_to_pem(self.certificate)

    def is_in(self, bundle: bytes) -> bool:
        """Whether a text holds it among its PEM blocks; other blocks may be anything."""
        wanted = self.certificate.public_bytes(Encoding.DER)
        return any(_der(block) == wanted for block in _BLOCK.findall(bundle))


def read_anchor(path: Path) -> Anchor:
    """The root in a file.

    Raises `RuleViolation` ("root-file-is-not-root") for what is not self-signed: installed, an intermediate would make
    no chain trusted for the SDKs. Raises `UsageError` for more than one root, `EncodingError` and `NotFound`.
    """
    certificates = read_certificates(path)
    roots = [certificate for certificate in certificates if is_self_signed(certificate)]
    if not roots:
        raise RuleViolation(
            "root-file-is-not-root",
            f"{path} holds no root",
            why=f"none of its {len(certificates)} certificates is self-signed",
            hint="give the root certificate above the device CA: trust/root.pem of a home is one",
        )
    if len(set(roots)) > 1:
        raise UsageError(
            f"{path} holds {len(roots)} roots", why="expected one", hint="give a file for each, one by one"
        )
    return Anchor(roots[0], path.absolute())


def _der(block: bytes) -> bytes | None:
    try:
        return base64.b64decode(block)
    except binascii.Error:
        return None
