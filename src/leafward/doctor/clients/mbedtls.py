"""mbedTLS 2.28, as small devices have it: it looks for issuers only behind a certificate, never before it; it tells all
that it found, in the order of its flags; it has no name constraints, and no iPAddress.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.doctor.clients.naming import Names, fits
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown
from leafward.doctor.clients.signing import has_weak_hash, is_signed
from leafward.pki.chain import Chain
from leafward.pki.extension import extension, path_length, purposes, says_ca, value
from leafward.pki.link import Link, names_itself
from leafward.pki.names import HostName
from leafward.pki.rule import Context
from leafward.pki.rules import rule

_EXPIRED = "The certificate validity has expired"
_NAME = "The certificate Common Name (CN) does not match with the expected CN"
_UNTRUSTED = "The certificate is not correctly signed by the trusted CA"
_FUTURE = "The certificate validity starts in the future"
_PURPOSE = "Usage does not match the extendedKeyUsage extension"
_HASH = "The certificate is signed with an unacceptable hash."
_BROKEN = "X509 - The extension tag or value is invalid : ASN1 - ASN1 tag was of an unexpected value"
_ALERT = "SSL - A fatal alert message was received from our peer"
_ORDER = (_EXPIRED, _NAME, _UNTRUSTED, _FUTURE, _PURPOSE, _HASH)


def _judge(shown: Shown) -> Prediction:
    if any(_is_unknown(one, shown) for one in shown.sent):
        return Prediction.refuses(_BROKEN)
    found = set(_flags(shown))
    if found:
        return Prediction.refuses(";".join(one for one in _ORDER if one in found))
    usage = value(shown.leaf, x509.KeyUsage)
    encipher = usage is not None and usage.key_encipherment and isinstance(shown.leaf.public_key(), rsa.RSAPublicKey)
    if usage is not None and not usage.digital_signature and not encipher:
        return Prediction.refuses(_ALERT)  # measured against OpenSSL, which does not present such a key to it
    return ACCEPTS


def _is_unknown(certificate: x509.Certificate, shown: Shown) -> bool:
    constraints = extension(certificate, x509.NameConstraints)
    if constraints is not None and constraints.critical:
        return True
    context = Context(chain=Chain((certificate,)), now=shown.case.now)
    return any(found.severity == "error" for found in rule("unknown-critical-extension").check(context))


def _flags(shown: Shown) -> Iterator[str]:
    place, top, cas = 0, shown.leaf, 0
    while True:
        yield from _dates(top, shown)
        if has_weak_hash(top) and top not in shown.anchors:
            yield _HASH
        if top in shown.anchors:
            break
        anchor = next((one for one in shown.anchors if _issued(top, one, cas)), None)
        if anchor is not None:
            yield from _dates(anchor, shown)
            break
        behind = ((at, one) for at, one in enumerate(shown.sent) if at > place and _issued(top, one, cas))
        found = next(behind, None)
        if found is None:
            yield _UNTRUSTED
            break
        cas += not names_itself(found[1])
        place, top = found
    yield from _end_entity(shown)


def _issued(child: x509.Certificate, issuer: x509.Certificate, cas: int) -> bool:
    """`x509_crt_check_parent` and the signature. A CA that may not sign, or not so deep, is passed over."""
    usage, limit = value(issuer, x509.KeyUsage), path_length(issuer)
    may_sign = says_ca(issuer) and (usage is None or usage.key_cert_sign)
    deep_enough = limit is None or cas <= limit
    return Link(child, issuer).names_match_loosely and may_sign and deep_enough and is_signed(child, issuer)


def _dates(certificate: x509.Certificate, shown: Shown) -> Iterator[str]:
    if shown.case.now > certificate.not_valid_after_utc:
        yield _EXPIRED
    if shown.case.now < certificate.not_valid_before_utc:
        yield _FUTURE


def _end_entity(shown: Shown) -> Iterator[str]:
    uses = purposes(shown.leaf)
    anything = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if uses is not None and not uses & anything:
        yield _PURPOSE
    names = Names.of(shown.leaf)
    text = shown.host.text if isinstance(shown.host, HostName) else str(shown.host)
    known = names.dns if extension(shown.leaf, x509.SubjectAlternativeName) is not None else names.common
    if not any(fits(one, text, one_label=True) for one in known):
        yield _NAME


CLIENT = Client(name="mbedtls", measured="mbedTLS 2.28", judge=_judge, versions=("TLSv1.2",))
