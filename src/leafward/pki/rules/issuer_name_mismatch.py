"""Rule 6: the issuer named in a certificate is the subject of the next, byte for byte (RFC 5280 6.1.3 (a) (4)).

RFC 5280 7.1 lets case, blanks and string types differ. OpenSSL follows it; pyca and others compare bytes.
"""

from collections.abc import Iterator

from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """An error where the names differ, a warning where they differ in form only."""
    for link in context.links:
        if not link.names_match:
            loosely = link.names_match_loosely
            yield RULE.finding(
                "warning" if loosely else "error",
                link.child,
                got=link.child.issuer.rfc4514_string(),
                expected=link.issuer.subject.rfc4514_string(),
                who=context.who(link.child),
                fix="Present the certificate of the issuer that is named, or issue this one again: "
                f"{context.reissue(link.child)}",
                difference="case, blanks or string type" if loosely else "the name",
            )


RULE = Rule(
    code="issuer-name-mismatch",
    title="the issuer's name is not that of the next certificate",
    clause="RFC 5280 6.1.3 (a) (4)",
    step=Step.PATH,
    check=check,
    refused_at_issue=True,
    spoils_chain=True,
)
