"""Rule 8: an RSA key of 2048 bits does not live past 2030 (SP 800-131A Rev. 2 section 3; SP 800-57 Part 1 table 4).

No stack refuses it yet. Who issues is asked to say that it is meant (`admission.check_rsa_2048`).
"""

from collections.abc import Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

from leafward.pki.admission import RSA_2048_ENDS, RSA_2048_RULE
from leafward.pki.rule import Context, Finding, Rule, Step
from leafward.pki.rules.weak_key import LEAST_RSA_BITS

LONG_LIVED_RSA_BITS = 3072


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path with a shorter RSA key that ends after 2030."""
    for certificate in context.path:
        try:
            key = certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            continue
        bits = key.key_size if isinstance(key, rsa.RSAPublicKey) else LONG_LIVED_RSA_BITS
        if LEAST_RSA_BITS <= bits < LONG_LIVED_RSA_BITS and certificate.not_valid_after_utc > RSA_2048_ENDS:
            yield RULE.finding(
                "warning",
                certificate,
                got=f"RSA with {bits} bits until {certificate.not_valid_after_utc:%Y-%m-%d}",
                expected=f"until {RSA_2048_ENDS:%Y-%m-%d} at the latest, or a stronger key",
                who=context.who(certificate),
                fix=f"Plan a successor with a key of the kind ec-p256 or rsa-3072: {context.reissue(certificate)}",
            )


RULE = Rule(
    code=RSA_2048_RULE,
    title="a key lives longer than it is good for",
    clause="SP 800-131A Rev. 2 section 3",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
