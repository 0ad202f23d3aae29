"""Rule 8: no key under 112 bits of strength: RSA from 2048 bits, curves from P-256 (SP 800-131A Rev. 2, section 3)."""

from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from leafward.pki.rule import Context, Finding, Rule, Step

LEAST_RSA_BITS = 2048
LEAST_CURVE_BITS = 224
OUR_LEAST_CURVE_BITS = 256


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path whose key is too short. P-224 passes OpenSSL and is a warning."""
    for certificate in context.path:
        try:
            key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
            weak, got, expected = key.key_size < LEAST_RSA_BITS, f"{key.key_size} bits", f"{LEAST_RSA_BITS} or more"
            severe = weak
        elif isinstance(key, ec.EllipticCurvePublicKey):
            weak, got, expected = key.curve.key_size < OUR_LEAST_CURVE_BITS, key.curve.name, "P-256 or more"
            severe = key.curve.key_size < LEAST_CURVE_BITS
        else:
            continue
        if weak:
            yield RULE.finding(
                "error" if severe else "warning",
                certificate,
                got=got,
                expected=expected,
                who=context.who(certificate),
                fix=f"Make a new key of the kind ec-p256, and a new certificate: {context.reissue(certificate)}",
            )


RULE = Rule(
    code="weak-key",
    title="a key is too short",
    clause="SP 800-131A Rev. 2 section 3; OpenSSL security level 2",
    step=Step.STRENGTH,
    check=check,
    refused_at_issue=True,
)
