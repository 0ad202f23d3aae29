"""Rule 2, the other half: an end-entity is no CA and cannot sign certificates (RFC 5280 4.2.1.9, 4.2.1.3).

OpenSSL accepts a CA certificate as a server's; pyca and the browsers' verifiers refuse it. Whoever holds the key of
such a server could issue certificates for any name.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.extension import says_ca, value
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """A server or client certificate with CA:TRUE or keyCertSign."""
    leaf = context.leaf
    usage = value(leaf, x509.KeyUsage)
    signs = usage is not None and usage.key_cert_sign
    if context.purpose != "ca" and (says_ca(leaf) or signs):
        yield RULE.finding(
            "warning",
            leaf,
            got="CA:TRUE" if says_ca(leaf) else "keyUsage with keyCertSign",
            expected="an end-entity certificate: CA:FALSE, no keyCertSign",
            who=context.who(leaf),
            fix=f"Use a certificate of its own for the end-entity: {context.reissue(leaf)}",
        )


RULE = Rule(
    code="end-entity-is-a-ca",
    title="the end-entity certificate is a CA certificate",
    clause="RFC 5280 4.2.1.9",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
