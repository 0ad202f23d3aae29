"""A certificate is sent once (RFC 8446 4.4.2). Twice does no harm but to slow links and small memories."""

from collections.abc import Iterator

from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate that was sent more than once."""
    for certificate in dict.fromkeys(context.presented):
        times = context.presented.count(certificate)
        if times > 1:
            yield RULE.finding(
                "info",
                certificate,
                got=f"sent {times} times",
                expected="sent once",
                who=context.presenter,
                fix="Take the second copy out of the chain file.",
            )


RULE = Rule(
    code="duplicate-certificate",
    title="a certificate is sent more than once",
    clause="RFC 8446 4.4.2",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
