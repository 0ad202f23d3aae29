"""Rule 4: every certificate of the path has begun (RFC 5280 6.1.3 (a) (2)).

Most often the clock is wrong, not the date.
"""

from collections.abc import Iterator

from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path whose notBefore is still to come, the root included."""
    now = context.now.replace(microsecond=0)
    for certificate in context.path:
        if now < certificate.not_valid_before_utc:
            yield RULE.finding(
                "error",
                certificate,
                got=f"begins at {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
                expected=f"valid at {now:%Y-%m-%dT%H:%M:%SZ}",
                who=context.who(certificate),
                fix="Set this machine's clock (timedatectl set-ntp true); if it is right, wait, or issue again: "
                f"{context.reissue(certificate)}",
            )


RULE = Rule(
    code="certificate-not-yet-valid",
    title="a certificate is not valid yet",
    clause="RFC 5280 4.1.2.5, 6.1.3 (a) (2)",
    step=Step.DATES,
    check=check,
)
