"""Rule 3: the path length of each CA leaves room for the CAs below it (RFC 5280 4.2.1.9, 6.1.4 (l), (m)).

1 at the device CA (the workload CA hangs below it), 0 at the workload CA. Self-issued CAs do not count, except that
some stacks (pyca) count them.
"""

from collections.abc import Iterator

from leafward.pki.extension import path_length
from leafward.pki.link import names_itself
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each CA with more CAs below it than it allows; those that are still to be made count too."""
    below = context.depth_below if context.purpose == "ca" else 0
    strictly = below
    for ca in context.cas:
        allowed = path_length(ca)
        if allowed is not None and strictly > allowed:
            yield RULE.finding(
                "error" if below > allowed else "warning",
                ca,
                got=f"{strictly} CA certificates below it",
                expected=f"at most {allowed} (pathlen:{allowed})",
                who=context.who(ca),
                fix="Issue the CA anew with more room below it (leafward ca intermediate --intermediates-below), or "
                f"use fewer levels: {context.reissue(ca)}",
            )
        below += not names_itself(ca)
        strictly += 1


RULE = Rule(
    code="path-length-exceeded",
    title="more CAs hang below a CA than it allows",
    clause="RFC 5280 4.2.1.9",
    step=Step.PATH_LENGTH,
    check=check,
    refused_at_issue=True,
    spoils_chain=True,
)
