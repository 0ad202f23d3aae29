"""Java's PKIX trust manager with the HTTPS rule for names (JDK 17). It takes whatever it is told to trust for an
anchor, looks at no date of an anchor, and at no extended key usage of a CA.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.doctor.clients.naming import Names
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown
from leafward.doctor.clients.signing import is_signed
from leafward.pki.chain import Chain
from leafward.pki.extension import path_length, purposes, says_ca, value
from leafward.pki.link import Link, names_itself
from leafward.pki.names import HostName
from leafward.pki.rule import Context
from leafward.pki.rules import rule

_BUILDING = (
    "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid "
    "certification path to requested target"
)
_VALIDATION = "PKIX path validation failed: java.security.cert.CertPathValidatorException: "
_NO_ANCHOR = f"{_VALIDATION}Path does not chain with any of the trust anchors"


def _judge(shown: Shown) -> Prediction:
    path, anchor = _path(shown)
    if anchor is None:
        return Prediction.refuses(_BUILDING)
    if not path:  # the leaf itself is trusted
        return _end_entity(shown)
    if Link(path[-1], anchor).key_ids_match is False:
        return Prediction.refuses(_NO_ANCHOR)
    for place in range(len(path) - 1, -1, -1):
        issuer = anchor if place == len(path) - 1 else path[place + 1]
        wrong = next(_wrong(shown, path, place, issuer), None)
        if wrong is not None:
            return Prediction.refuses(_VALIDATION + wrong)
    return _end_entity(shown)


def _path(shown: Shown) -> tuple[list[x509.Certificate], x509.Certificate | None]:
    """By names alone, up to the first that a trusted one is named the issuer of."""
    path, left = [shown.leaf], list(shown.sent[1:])
    while True:
        top = path[-1]
        if top in shown.anchors:
            return path[:-1], top
        anchor = next((one for one in shown.anchors if Link(top, one).names_match_loosely), None)
        if anchor is not None and not (names_itself(top) and len(path) == 1):
            return (path, anchor) if not names_itself(top) else ([], None)
        issuer = next((one for one in left if Link(top, one).names_match_loosely and one != top), None)
        if issuer is None:
            return path, None
        left.remove(issuer)
        path.append(issuer)


def _wrong(shown: Shown, path: list[x509.Certificate], place: int, issuer: x509.Certificate) -> Iterator[str]:
    """What is met at one certificate, in the order of Java's checkers."""
    certificate = path[place]
    if place > 0:
        usage = value(certificate, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            yield "CA key usage check failed: keyCertSign bit is not set"
        if not says_ca(certificate):
            yield "basic constraints check failed: this is not a CA certificate"
        limit = path_length(certificate)
        below = [one for one in path[1:place] if not names_itself(one)]
        if limit is not None and len(below) > limit:
            # It is found at the CA below the one that allows none.
            yield (
                "basic constraints check failed: pathLenConstraint violated - this cert must be the last cert in the "
                "certification path"
            )
    if place == 0 and _finds(shown, (*path, issuer), "name-constraint-violated"):
        yield "name constraints check failed"
    now = shown.case.now
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        yield "validity check failed"
    if not is_signed(certificate, issuer):
        yield "signature check failed"
    if _finds(shown, (certificate,), "unknown-critical-extension"):
        yield "unrecognized critical extension(s)"


def _finds(shown: Shown, chain: tuple[x509.Certificate, ...], code: str) -> bool:
    context = Context(chain=Chain(chain), now=shown.case.now, host=shown.host)
    return any(found.severity == "error" for found in rule(code).check(context))


def _end_entity(shown: Shown) -> Prediction:
    uses = purposes(shown.leaf)
    anything = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if uses is not None and not uses & anything:
        return Prediction.refuses("Extended key usage does not permit use for TLS server authentication")
    usage = value(shown.leaf, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        return Prediction.refuses("KeyUsage does not allow digital signatures")
    names = Names.of(shown.leaf)
    if names.fits(shown.host, common_name=not names.dns):
        return ACCEPTS
    host = shown.case.name
    if not isinstance(shown.host, HostName):
        return Prediction.refuses(f"No subject alternative names matching IP address {host} found")
    if names.dns:
        return Prediction.refuses(f"No subject alternative DNS name matching {host} found.")
    return Prediction.refuses(f"No name matching {host} found")


CLIENT = Client(name="java", measured="OpenJDK 17.0.15", judge=_judge)
