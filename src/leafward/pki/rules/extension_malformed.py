"""Rule 10: every extension can be read, and none is there twice (RFC 5280 4.2)."""

from collections.abc import Iterator

from leafward.pki.extension import problem
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate whose extensions do not parse."""
    for certificate in context.path:
        if why := problem(certificate):
            yield RULE.finding(
                "error",
                certificate,
                got=why,
                expected="extensions in DER, each once",
                who=context.who(certificate),
                fix=f"Issue the certificate again: {context.reissue(certificate)}",
            )


RULE = Rule(
    code="extension-malformed",
    title="an extension cannot be read",
    clause="RFC 5280 4.2",
    step=Step.MALFORMED,
    check=check,
)
