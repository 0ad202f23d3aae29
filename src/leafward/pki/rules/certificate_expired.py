"""Rule 4: no certificate of the path is past its end (RFC 5280 6.1.3 (a) (2)). The end itself is still inside."""

from collections.abc import Iterator

from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path whose notAfter is over, the root included."""
    now = context.now.replace(microsecond=0)
    for certificate in context.path:
        if now > certificate.not_valid_after_utc:
            yield RULE.finding(
                "error",
                certificate,
                got=f"ended at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                expected=f"valid at {now:%Y-%m-%dT%H:%M:%SZ}",
                who=context.who(certificate),
                fix=f"Check this clock; if it is right, renew the certificate: {context.reissue(certificate)}",
            )


RULE = Rule(
    code="certificate-expired",
    title="a certificate has expired",
    clause="RFC 5280 4.1.2.5, 6.1.3 (a) (2)",
    step=Step.DATES,
    check=check,
)
