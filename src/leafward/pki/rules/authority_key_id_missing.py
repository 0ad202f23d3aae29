"""Rule 6: every certificate but a root names its issuer's key (RFC 5280 4.2.1.1).

Python from 3.13 refuses chains without.
"""

from collections.abc import Iterator

from leafward.pki.extension import authority_key_id
from leafward.pki.link import names_itself
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path without an authority key identifier. A root is its own authority and needs none."""
    for place, certificate in enumerate(context.path):
        is_root = place == len(context.path) - 1 and names_itself(certificate)
        if authority_key_id(certificate) is None and not is_root:
            yield RULE.finding(
                "warning",
                certificate,
                got="no authority key identifier",
                expected="the key identifier of its issuer",
                who=context.who(certificate),
                fix=f"Issue the certificate again: {context.reissue(certificate)}",
            )


RULE = Rule(
    code="authority-key-id-missing",
    title="a certificate does not name its issuer's key",
    clause="RFC 5280 4.2.1.1",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
