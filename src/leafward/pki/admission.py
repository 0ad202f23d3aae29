"""What must hold before anything is prepared: the issuer's own key and chain, and the few numbers it is given.

Each function raises `RuleViolation` with a stable code. What a certificate itself must be like is for `rules/`; these
look at what no finished certificate shows.
"""

import itertools
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain, is_issued_by
from leafward.pki.extension import problem
from leafward.pki.key_types import PublicKey, key_type_of
from leafward.pki.validity import Validity

MIN_SERIAL_OCTETS, MAX_SERIAL_OCTETS = 16, 20  # 20 is the most that RFC 5280 4.1.2.2 allows; 16 cannot be guessed
RSA_2048_ENDS = datetime(2030, 12, 31, 23, 59, 59, tzinfo=UTC)  # SP 800-131A Rev. 2 section 3
RSA_2048_RULE = "key-past-its-date"


def check_serial(serial: int) -> None:
    """Refuses with "serial-invalid" unless positive, of 16 to 20 octets in DER (RFC 5280 4.1.2.2)."""
    octets = serial.bit_length() // 8 + 1  # DER keeps one bit for the sign
    if serial <= 0 or not MIN_SERIAL_OCTETS <= octets <= MAX_SERIAL_OCTETS:
        why = f"got {'a negative number or zero' if serial <= 0 else f'{octets} octets'}, expected 16 to 20, positive"
        raise RuleViolation("serial-invalid", "the serial number does not fit", why=why, hint="draw it at random")


def check_rsa_2048(public_key: PublicKey, validity: Validity, allowed: bool) -> None:
    """Refuses with "key-past-its-date" for an RSA-2048 key beyond 2030, unless the caller said that it may."""
    if key_type_of(public_key).name == "rsa-2048" and validity.not_after > RSA_2048_ENDS and not allowed:
        why = f"it would live until {validity.not_after:%Y-%m-%d}, and RSA-2048 is good until 2030-12-31"
        hint = "use ec-p256 or rsa-3072, or a shorter lifetime"
        raise RuleViolation(RSA_2048_RULE, "the key is too weak for that lifetime", why=why, hint=hint)


def check_key_belongs(certificate: x509.Certificate, public_key: PublicKey) -> None:
    """Refuses with "key-mismatch" unless the key is the certificate's; compared as bytes: handles differ in class."""
    if _spki(public_key) != _spki(certificate.public_key()):  # type: ignore[arg-type]  # any key has these bytes
        why = f"the certificate is '{certificate.subject.rfc4514_string()}'"
        hint = "give the key that was made with this certificate"
        raise RuleViolation("key-mismatch", "the private key is not the certificate's", why=why, hint=hint)


def _spki(public_key: PublicKey) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_chain(chain: Chain) -> None:
    """An issuer's real chain: each certificate is followed by the one that signed it, and can be read.

    The rules see a shadow of it in which every signature is good, so this has to be looked at first.
    """
    for certificate in chain:
        if why := problem(certificate):
            what = f"the extensions of '{certificate.subject.rfc4514_string()}' cannot be read"
            raise RuleViolation("extension-malformed", what, why=why, hint="have this CA certificate issued anew")
    for child, issuer in itertools.pairwise(chain):
        if child.issuer.public_bytes() != issuer.subject.public_bytes():
            why = (
                f"after '{child.subject.rfc4514_string()}' follows '{issuer.subject.rfc4514_string()}', not its issuer"
            )
            hint = "put the CA certificate first, then the one that issued it, and so on"
            raise RuleViolation("chain-out-of-order", "the issuer's chain is not in order", why=why, hint=hint)
        if not is_issued_by(child, issuer):
            why = f"'{issuer.subject.rfc4514_string()}' did not sign '{child.subject.rfc4514_string()}'"
            hint = "the file mixes two hierarchies of the same names: use the chain that came with the certificate"
            raise RuleViolation("signature-invalid", "the issuer's chain does not hold", why=why, hint=hint)
