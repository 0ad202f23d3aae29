"""GnuTLS 3.7: it tells all that it found in one line (`gnutls_certificate_verification_status_print`), but nothing more
where no trusted root is reached. It goes by signatures, so equal names do not confuse it.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.doctor.clients.naming import Names
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown
from leafward.doctor.clients.signing import has_weak_hash, is_signed
from leafward.pki.chain import Chain
from leafward.pki.extension import path_length, purposes, says_ca, value
from leafward.pki.link import Link, names_itself, signs_itself
from leafward.pki.rule import Context
from leafward.pki.rules import rule

_START = "Not verified. The certificate is NOT trusted."
_UNKNOWN = "The certificate issuer is unknown."
_NO_CA = "The certificate issuer is not a CA."
_WEAK = "The certificate chain uses insecure algorithm."
_CONSTRAINTS = "The certificate chain violates the signer's constraints."
_FUTURE = "The certificate chain uses not yet valid certificate."
_EXPIRED = "The certificate chain uses expired certificate."
_SIGNATURE = "The signature in the certificate is invalid."
_NAME = "The name in the certificate does not match the expected."
_PURPOSE = "The certificate chain does not match the intended purpose."
_CRITICAL = "The certificate contains an unknown critical extension."
_ORDER = (_UNKNOWN, _NO_CA, _WEAK, _CONSTRAINTS, _FUTURE, _EXPIRED, _SIGNATURE, _NAME, _PURPOSE, _CRITICAL)


def _judge(shown: Shown) -> Prediction:
    found = set(_found(shown))
    if not found:
        return ACCEPTS
    return Prediction.refuses(" ".join([_START, *(one for one in _ORDER if one in found)]))


def _found(shown: Shown) -> Iterator[str]:
    path = _path(shown)
    if path is None:
        yield _UNKNOWN
        return
    for place in range(len(path)):
        yield from _of_one(shown, path, place)
    if _finds(shown, tuple(path), "name-constraint-violated"):
        yield _CONSTRAINTS
    names = Names.of(shown.leaf)
    if not names.fits(shown.host, one_label=False, common_name=not names.dns):
        yield _NAME


def _of_one(shown: Shown, path: list[x509.Certificate], place: int) -> Iterator[str]:
    certificate = path[place]
    if place > 0:
        yield from _signer(path, place)
    yield from _purpose(certificate)
    if shown.case.now > certificate.not_valid_after_utc:
        yield _EXPIRED
    if shown.case.now < certificate.not_valid_before_utc:
        yield _FUTURE
    if place + 1 < len(path) and not is_signed(certificate, path[place + 1]):
        yield _SIGNATURE
    if place + 1 < len(path) and has_weak_hash(certificate):
        yield _WEAK
    if _finds(shown, (certificate,), "unknown-critical-extension"):
        yield _CRITICAL


def _path(shown: Shown) -> list[x509.Certificate] | None:
    """To a trusted root, by names and key identifiers, whoever signed; None where there is no way."""
    path, left = [shown.leaf], [*shown.anchors, *shown.sent[1:]]
    while path[-1] not in shown.anchors or not signs_itself(path[-1]):
        top = path[-1]
        likely = [one for one in left if one not in path and _is_likely(top, one)]
        signed = next((one for one in likely if is_signed(top, one)), None)
        issuer = signed or next(iter(likely), None)
        if issuer is None:
            return None
        path.append(issuer)
    return path


def _is_likely(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    link = Link(child, issuer)
    return link.names_match and link.key_ids_match is not False


def _signer(path: list[x509.Certificate], place: int) -> Iterator[str]:
    certificate = path[place]
    usage, limit = value(certificate, x509.KeyUsage), path_length(certificate)
    if not says_ca(certificate):
        yield _NO_CA
    if usage is not None and not usage.key_cert_sign:
        yield _CONSTRAINTS
    if limit is not None and len([one for one in path[1:place] if not names_itself(one)]) > limit:
        yield _CONSTRAINTS


def _purpose(certificate: x509.Certificate) -> Iterator[str]:
    uses = purposes(certificate)
    anything = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if uses is not None and not uses & anything:
        yield _PURPOSE


def _finds(shown: Shown, chain: tuple[x509.Certificate, ...], code: str) -> bool:
    context = Context(chain=Chain(chain), now=shown.case.now, host=shown.host)
    return any(found.severity == "error" for found in rule(code).check(context))


CLIENT = Client(name="gnutls", measured="GnuTLS 3.7.9", judge=_judge)
