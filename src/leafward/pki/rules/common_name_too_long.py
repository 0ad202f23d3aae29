"""A common name has at most 64 characters (ub-common-name, RFC 5280 appendix A.1).

A longer hostname goes in the SAN only.
"""

from collections.abc import Iterator

from leafward.pki.extension import common_names
from leafward.pki.names import MAX_COMMON_NAME
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each common name of the path that is too long."""
    for certificate in context.path:
        for name in common_names(certificate):
            if len(name) > MAX_COMMON_NAME:
                yield RULE.finding(
                    "warning",
                    certificate,
                    got=f"{len(name)} characters",
                    expected=f"at most {MAX_COMMON_NAME}",
                    who=context.who(certificate),
                    fix="Leave the common name out and put the name in the SAN, or choose a shorter one: "
                    f"{context.reissue(certificate)}",
                )


RULE = Rule(
    code="common-name-too-long",
    title="a common name is too long",
    clause="RFC 5280 appendix A.1",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
