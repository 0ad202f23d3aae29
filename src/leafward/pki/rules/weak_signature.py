"""Rule 8: no signature over SHA-1 or MD5 (SP 800-131A Rev. 2, section 9).

A root's own signature proves nothing to who trusts it already, so verifiers do not look at its hash; nor do we.
"""

from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from leafward.pki.rule import Context, Finding, Rule, Step

LEAST_DIGEST_BYTES = 28  # SHA-224: 112 bits of strength


def check(context: Context) -> Iterator[Finding]:
    """Each signature of the path over a hash that is too short."""
    signed = context.path[:-1] if context.anchored else context.path
    for certificate in signed:
        name = _weak_hash(certificate)
        if name is not None:
            yield RULE.finding(
                "error",
                certificate,
                got=name,
                expected="SHA-256 or better",
                who=context.who(certificate),
                fix=f"Issue the certificate again: {context.reissue(certificate)}",
            )


def _weak_hash(certificate: x509.Certificate) -> str | None:
    try:
        digest = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        # MD2, MD4 and the like: `cryptography` does not know them any more, and neither should anybody.
        return certificate.signature_algorithm_oid.dotted_string
    return digest.name if digest is not None and digest.digest_size < LEAST_DIGEST_BYTES else None


RULE = Rule(
    code="weak-signature",
    title="a signature is made with a broken hash",
    clause="SP 800-131A Rev. 2 section 9",
    step=Step.STRENGTH,
    check=check,
)
