"""Rule 2: the basicConstraints of a CA are critical (RFC 5280 4.2.1.9).

OpenSSL lets it pass; pyca and others do not.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.extension import extension
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each CA of the path whose basicConstraints are there and not critical."""
    for ca in context.cas:
        found = extension(ca, x509.BasicConstraints)
        if found is not None and not found.critical:
            yield RULE.finding(
                "warning",
                ca,
                got="not critical",
                expected="critical",
                who=context.who(ca),
                fix=f"Issue the CA certificate again: {context.reissue(ca)}",
            )


RULE = Rule(
    code="basic-constraints-not-critical",
    title="the basicConstraints of a CA are not critical",
    clause="RFC 5280 4.2.1.9",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
    spoils_chain=True,
)
