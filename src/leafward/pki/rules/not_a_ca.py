"""Rule 2: a certificate that signs another has basicConstraints CA:TRUE (RFC 5280 4.2.1.9, 6.1.4 (k)).

OpenSSL still takes a root for a CA that has no basicConstraints, if it has keyCertSign or is of version 1; other
stacks do not.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.extension import says_ca, value
from leafward.pki.link import signs_itself
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path that has to sign and does not say it is a CA."""
    for certificate in context.cas:
        if not says_ca(certificate):
            constraints = value(certificate, x509.BasicConstraints)
            yield RULE.finding(
                "warning" if constraints is None and _is_old_root(context, certificate) else "error",
                certificate,
                got="no basicConstraints" if constraints is None else "CA:FALSE",
                expected="basicConstraints CA:TRUE, as it signs others",
                who=context.who(certificate),
                fix=f"Sign with a CA certificate, or issue this one again as a CA: {context.reissue(certificate)}",
            )


def _is_old_root(context: Context, certificate: x509.Certificate) -> bool:
    if certificate != context.path[-1] or not signs_itself(certificate):
        return False
    usage = value(certificate, x509.KeyUsage)
    return certificate.version is x509.Version.v1 if usage is None else usage.key_cert_sign


RULE = Rule(
    code="not-a-ca",
    title="a certificate that signed another is no CA",
    clause="RFC 5280 4.2.1.9",
    step=Step.CA,
    check=check,
    refused_at_issue=True,
    spoils_chain=True,
)
