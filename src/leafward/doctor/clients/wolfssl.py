"""wolfSSL 5.5, told to verify (Debian's build does not by itself): it takes what is sent from the last certificate to
the first, and each must be signed by one that it knows by then. So the order counts, and a CA needs its key identifier.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.doctor.clients.naming import Names, fits
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown
from leafward.doctor.clients.signing import is_signed
from leafward.pki.chain import Chain
from leafward.pki.extension import authority_key_id, path_length, purposes, says_ca, subject_key_id, value
from leafward.pki.link import Link, names_itself, signs_itself
from leafward.pki.names import HostName
from leafward.pki.rule import Context
from leafward.pki.rules import rule

_FAILED = "certificate verify failed"
_AFTER, _BEFORE = "ASN date error, current date after", "ASN date error, current date before"
_SELF = "ASN self-signed certificate error"
_PURPOSE = "Ext Key Use server/client auth not set Error"
_CRITICAL = "X.509 Critical extension ignored or invalid"
_CONSTRAINT = "Name Constraint error"
_LENGTH = "ASN CA path length larger than signer error"


def _judge(shown: Shown) -> Prediction:
    """A CA that it cannot verify is passed over; whether the leaf can be without it shows in the end."""
    known, of_a_root = list(shown.anchors), None
    for certificate in reversed(shown.sent[1:]):
        if certificate in shown.anchors:
            of_a_root = _date(certificate, shown) or of_a_root
        elif _date(certificate, shown) is None and _is_good(certificate, known):
            known.append(certificate)
    wrong = _leaf(shown, known) or of_a_root
    return ACCEPTS if wrong is None else Prediction.refuses(wrong)


def _is_good(certificate: x509.Certificate, known: list[x509.Certificate]) -> bool:
    usage, signer = value(certificate, x509.KeyUsage), _signer(certificate, known)
    if signer is None or not says_ca(certificate) or usage is None or not usage.key_cert_sign:
        return False
    return path_length(signer) != 0 or names_itself(certificate)


def _signer(certificate: x509.Certificate, known: list[x509.Certificate]) -> x509.Certificate | None:
    """Found by the key identifier where the certificate has one, else by name."""
    asked = authority_key_id(certificate)
    named = (one for one in known if Link(certificate, one).names_match)
    fitting = (one for one in named if asked is None or subject_key_id(one) == asked)
    return next((one for one in fitting if is_signed(certificate, one)), None)


def _leaf(shown: Shown, known: list[x509.Certificate]) -> str | None:
    leaf = shown.leaf
    signer = _signer(leaf, known)
    if signer is None:
        return _SELF if signs_itself(leaf) else _FAILED
    if (date := _date(leaf, shown)) is not None:
        return date
    return next(_of_the_leaf(shown, signer, known), None)


def _of_the_leaf(shown: Shown, signer: x509.Certificate, known: list[x509.Certificate]) -> Iterator[str]:
    """What is wrong with a leaf that is signed and in time, the first first."""
    leaf = shown.leaf
    if _finds(shown, (leaf,), "unknown-critical-extension"):
        yield _CRITICAL
    if says_ca(leaf) and path_length(signer) == 0:
        yield _LENGTH
    if _finds(shown, (leaf, *known), "name-constraint-violated"):
        yield _CONSTRAINT
    uses = purposes(leaf)
    anything = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if uses is not None and not uses & anything:
        yield _PURPOSE
    if (wrong := _name(shown)) is not None:
        yield wrong


def _finds(shown: Shown, chain: tuple[x509.Certificate, ...], code: str) -> bool:
    path = [chain[0]]
    while issuer := next((one for one in chain if one not in path and is_signed(path[-1], one)), None):
        path.append(issuer)
    context = Context(chain=Chain(tuple(path)), now=shown.case.now, host=shown.host)
    return any(found.severity == "error" for found in rule(code).check(context))


def _name(shown: Shown) -> str | None:
    names = Names.of(shown.leaf)
    if isinstance(shown.host, HostName):
        good = names.fits(shown.host, common_name=not names.has_any)
        return None if good else "peer subject name mismatch"
    # It compares addresses as text, with DNS names as well.
    text = str(shown.host)
    good = names.fits(shown.host) or any(fits(one, text, one_label=True) for one in names.dns)
    return None if good else "peer ip address mismatch"


def _date(certificate: x509.Certificate, shown: Shown) -> str | None:
    if shown.case.now > certificate.not_valid_after_utc:
        return _AFTER
    return _BEFORE if shown.case.now < certificate.not_valid_before_utc else None


CLIENT = Client(name="wolfssl", measured="wolfSSL 5.5", judge=_judge)
