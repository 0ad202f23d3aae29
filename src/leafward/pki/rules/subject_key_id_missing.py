"""Rule 6: every certificate names its own key (RFC 5280 4.2.1.2). Python from 3.13 refuses CAs without."""

from collections.abc import Iterator

from leafward.pki.extension import subject_key_id
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path without a subject key identifier: a warning for a CA, a remark for a leaf."""
    for certificate in context.path:
        if subject_key_id(certificate) is None:
            yield RULE.finding(
                "warning" if certificate in context.cas else "info",
                certificate,
                got="no subject key identifier",
                expected="the key identifier of its key",
                who=context.who(certificate),
                fix=f"Issue the certificate again: {context.reissue(certificate)}",
            )


RULE = Rule(
    code="subject-key-id-missing",
    title="a certificate does not name its key",
    clause="RFC 5280 4.2.1.2",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
