"""A path has at most 16 certificates: enough for any hierarchy, and a bound on what a peer can make us check."""

from collections.abc import Iterator

from leafward.pki.paths import MAX_PATH
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """A chain, or the path through it, that is longer."""
    if len(context.path) > MAX_PATH:
        yield RULE.finding(
            "error",
            context.path[-1],
            got=f"{len(context.path)} certificates",
            expected=f"at most {MAX_PATH}",
            who="operator",
            fix="Present only the certificates between the leaf and the root, or use fewer intermediate CAs.",
        )


RULE = Rule(
    code="chain-too-deep",
    title="the chain is too long",
    clause="RFC 5280 6.1; a bound of ours",
    step=Step.PATH,
    check=check,
)
