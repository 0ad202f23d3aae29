"""Rule 2: the key usage of a CA has keyCertSign (RFC 5280 4.2.1.3, 6.1.4 (n)).

Without any keyUsage OpenSSL allows every use; RFC 5280 demands the extension of a CA, and stricter stacks insist.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.extension import value
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each CA of the path without keyCertSign."""
    for ca in context.cas:
        usage = value(ca, x509.KeyUsage)
        if usage is None or not usage.key_cert_sign:
            yield RULE.finding(
                "warning" if usage is None else "error",
                ca,
                got="no keyUsage" if usage is None else "keyUsage without keyCertSign",
                expected="keyUsage with keyCertSign",
                who=context.who(ca),
                fix=f"Issue the CA certificate again: {context.reissue(ca)}",
            )


RULE = Rule(
    code="key-usage-missing-cert-sign",
    title="a CA may not sign certificates",
    clause="RFC 5280 4.2.1.3",
    step=Step.CERT_SIGN,
    check=check,
    refused_at_issue=True,
    spoils_chain=True,
)
