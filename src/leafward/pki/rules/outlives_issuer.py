"""Rule 4: nothing outlives its issuer. Verifiers do not look, but the chain breaks on the earlier date all the same."""

from collections.abc import Iterator

from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate with a notAfter beyond that of its issuer."""
    for link in context.links:
        if link.child.not_valid_after_utc > link.issuer.not_valid_after_utc:
            yield RULE.finding(
                "warning",
                link.child,
                got=f"ends at {link.child.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                expected=f"at the latest with its issuer, at {link.issuer.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                who=context.who(link.child),
                fix=f"Renew the issuer first ({context.reissue(link.issuer)}), then this one: "
                f"{context.reissue(link.child)}",
            )


RULE = Rule(
    code="outlives-issuer",
    title="a certificate outlives its issuer",
    clause="RFC 5280 6.1.3 (a) (2); the shell model of validity",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
