"""Rule 8: keys are of the kinds in `key_types.py`. Others may be strong, but some client will not know them."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from leafward.errors import RuleViolation
from leafward.pki.key_types import KEY_TYPES, key_type_of
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path with a key of another kind; too short ones are `weak-key`'s."""
    for certificate in context.path:
        got = _unusual(certificate)
        if got is not None:
            yield RULE.finding(
                "warning",
                certificate,
                got=got,
                expected=list(KEY_TYPES),
                who=context.who(certificate),
                fix=f"Make a key of the kind ec-p256, and a new certificate: {context.reissue(certificate)}",
            )


def _unusual(certificate: x509.Certificate) -> str | None:
    try:
        key = certificate.public_key()
        key_type_of(key)
    except RuleViolation as error:
        return _describe(key) if error.code == RULE.code else None
    except (ValueError, UnsupportedAlgorithm):
        return f"the algorithm {certificate.public_key_algorithm_oid.dotted_string}"
    return None


def _describe(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"the curve {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA with {key.key_size} bits"
    return type(key).__name__.removesuffix("PublicKey")


RULE = Rule(
    code="unsupported-algorithm",
    title="a key is of an unusual kind",
    clause="RFC 9325 4.5",
    step=Step.ADVICE,
    check=check,
)
