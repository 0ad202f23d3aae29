"""One DER object, whatever it is: tried as each of the kinds that people keep in files."""

import base64
import binascii
import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from leafward.doctor.case import FileFault
from leafward.doctor.locked import Password, key_in_der, pkcs12_in
from leafward.errors import EncodingError
from leafward.pki.encoding import load_certificate, load_crls, load_pkcs7, load_request
from leafward.pki.key_types import PublicKey

_SEQUENCE = 0x30
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")  # 1.2.840.113549.1.7.2, RFC 5652 section 5.1
_JAVA_STORE = bytes.fromhex("feedfeed")
_VERSION_3 = b"\x02\x01\x03"  # what a PFX begins with, RFC 7292 section 4


@dataclass
class Found:
    """What was found in a file so far."""

    certificates: list[x509.Certificate] = field(default_factory=list)
    keys: list[PublicKey] = field(default_factory=list)
    crls: list[x509.CertificateRevocationList] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    locked: bool = False
    a_set: bool = False  # PKCS#7: its order means nothing

    def add(self, other: "Found") -> None:
        """Takes over what another part of the file holds."""
        self.certificates += other.certificates
        self.keys += other.keys
        self.crls += other.crls
        self.others += other.others
        self.locked |= other.locked
        self.a_set |= other.a_set


def read_der(data: bytes, path: str, password: Password) -> Found:
    """The one object. Raises `EncodingError` where it is none of those known, with the reason of the likeliest."""
    if _header(data) is None:
        raise EncodingError("no DER", why="it does not begin with a sequence")
    if _begins(data, _VERSION_3):
        certificates, key, locked = pkcs12_in(data, path, password)
        return Found(certificates, [key] if key is not None else [], locked=locked)
    if _begins(data, _SIGNED_DATA):
        return Found(load_pkcs7(data), a_set=True)
    try:
        with warnings.catch_warnings():
            # It warns of serial numbers as IoT Edge writes them (0); a rule says it better.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return Found([load_certificate(data)])
    except EncodingError as error:
        found = _another(data, path, password)
        if found is None:
            raise error from None
        return found


def _another(data: bytes, path: str, password: Password) -> Found | None:
    key, locked = key_in_der(data, path, password)
    if key is not None or locked:
        return Found(keys=[key] if key is not None else [], locked=locked)
    try:
        return Found(crls=load_crls(data))
    except EncodingError:
        pass
    try:
        load_request(data)
    except EncodingError:
        return None
    return Found(others=["a certificate request"])


def nothing_in(path: str, data: bytes) -> FileFault:
    """Why bytes without a PEM boundary that are no known object are of no use."""
    expected = "a PEM, DER, PKCS#7 or PKCS#12 file"
    header = _header(data)
    if header is not None and header > len(data):
        fix = "The file was cut off: copy it again from where it was made."
        return FileFault("truncated-pem", path, f"{len(data)} bytes of an object of {header}", expected, fix)
    if _is_naked_base64(data):
        fix = (
            "Write -----BEGIN CERTIFICATE----- before it and -----END CERTIFICATE----- after it, on lines of their own."
        )
        return FileFault("not-pem", path, "base64 without its BEGIN and END lines", expected, fix)
    if data.startswith(_JAVA_STORE):
        fix = "Take the certificates out of it: keytool -list -rfc -keystore FILE > PEM."
        return FileFault("not-pem", path, "a Java key store (JKS)", expected, fix)
    fix = "Name the certificate file; openssl x509 -in FILE -noout -subject shows whether it is one."
    return FileFault("not-pem", path, _looks_like(data), expected, fix)


def _header(data: bytes) -> int | None:
    """How many bytes the object says it has, header included; None where it begins with no sequence."""
    if len(data) < 2 or data[0] != _SEQUENCE or data[1] == 0x80:
        return None
    if not data[1] & 0x80:
        return 2 + data[1]
    size = data[1] & 0x7F
    return 2 + size + int.from_bytes(data[2 : 2 + size], "big") if 1 <= size <= 4 else None


def _begins(data: bytes, wanted: bytes) -> bool:
    size = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[size : size + len(wanted)] == wanted


def _is_naked_base64(data: bytes) -> bool:
    try:
        return _header(base64.b64decode(b"".join(data.split()), validate=True)) is not None
    except (binascii.Error, ValueError):
        return False


def _looks_like(data: bytes) -> str:
    if b"\0" in data[:4096] or not data[:64].isascii():
        return "bytes of another kind"
    first = data.lstrip()[:30].decode("ascii", "replace").splitlines()[0]
    return f"text that begins with {first!r}" if first.isprintable() and "=" not in first else "text of another kind"
