"""Rule 6: the issuer's key made the signature (RFC 5280 6.1.3 (a) (1)).

Only where names and key identifiers fit: where they do not, the certificate is not the issuer's, and that is the fault.
"""

from collections.abc import Iterator

from leafward.pki.link import Link
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each link with fitting names whose signature does not verify, that to a root of the right name included."""
    for link in (*context.links, *_to_the_anchor(context)):
        if link.names_match_loosely and link.key_ids_match is not False and not link.signed:
            yield RULE.finding(
                "error",
                link.child,
                got="a signature that does not verify",
                expected=f"one made by the key of {link.issuer.subject.rfc4514_string()}",
                who=context.who(link.child),
                fix="The certificate is damaged or altered: copy it again, or issue it again: "
                f"{context.reissue(link.child)}",
            )


def _to_the_anchor(context: Context) -> tuple[Link, ...]:
    """The link from the top to an anchor that its key identifier names."""
    top = context.path[-1]
    if context.anchored or top in context.anchors:
        return ()
    links = (Link(top, anchor) for anchor in context.anchors if anchor.subject == top.issuer)
    return tuple(link for link in links if link.key_ids_match)[:1]


RULE = Rule(
    code="signature-invalid",
    title="a signature does not verify",
    clause="RFC 5280 6.1.3 (a) (1)",
    step=Step.SIGNATURE,
    check=check,
)
