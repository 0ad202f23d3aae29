"""wolfSSL 5.5, told to verify (Debian's build does not by itself): it takes what is sent from the last certificate to the
first, and each must be signed by one that it knows by then. So the order counts, and a CA needs its key identifier.
"""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.doctor.clients.naming import Names, fits
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown
from leafward.pki.chain import Chain
from leafward.pki.extension import path_length, purposes, says_ca, subject_key_id, value
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


def _judge(shown: Shown) -> Prediction:
    known = list(shown.anchors)
    above = list(reversed(shown.sent[1:]))
    for certificate in above:
        wrong = _ca(certificate, known, shown)
        if wrong is not None:
            return Prediction.refuses(wrong)
        known.append(certificate)
    wrong = _leaf(shown, known)
    return ACCEPTS if wrong is None else Prediction.refuses(wrong)


def _ca(certificate: x509.Certificate, known: list[x509.Certificate], shown: Shown) -> str | None:
    trusted = certificate in shown.anchors
    if (date := _date(certificate, shown)) is not None:
        return date if trusted else _FAILED
    if trusted:
        return None
    usage, limit = value(certificate, x509.KeyUsage), path_length(certificate)
    may_sign = says_ca(certificate) and usage is not None and usage.key_cert_sign
    signer = _signer(certificate, known)
    if signer is None or not may_sign or subject_key_id(certificate) is None:
        return _FAILED
    if limit is None and path_length(signer) == 0 and not names_itself(signer):
        return _FAILED
    return _FAILED if path_length(signer) == 0 and not names_itself(certificate) else None


def _signer(certificate: x509.Certificate, known: list[x509.Certificate]) -> x509.Certificate | None:
    fitting = (one for one in known if Link(certificate, one).names_match_loosely)
    return next((one for one in fitting if Link(certificate, one).signed), None)


def _leaf(shown: Shown, known: list[x509.Certificate]) -> str | None:
    leaf = shown.leaf
    signer = _signer(leaf, known)
    if signer is None:
        return _SELF if signs_itself(leaf) else _FAILED
    if (date := _date(leaf, shown)) is not None:
        return date
    if _finds(shown, (leaf,), "unknown-critical-extension"):
        return _CRITICAL
    if _finds(shown, (leaf, *known), "name-constraint-violated"):
        return _CONSTRAINT
    uses = purposes(leaf)
    anything = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if uses is not None and not uses & anything:
        return _PURPOSE
    return _name(shown)


def _finds(shown: Shown, chain: tuple[x509.Certificate, ...], code: str) -> bool:
    path = [chain[0]]
    while issuer := next((one for one in chain if one not in path and Link(path[-1], one).signed), None):
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
