"""Rule 9: a peer sends its certificate first and after each one that which signed it (RFC 5246 7.4.2, RFC 8446 4.4.2).

OpenSSL, Python, Node and GnuTLS put the rest in order themselves. TLS 1.2 demands the order, and small stacks that keep
one certificate in memory at a time need it.
"""

from collections.abc import Iterator

from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """The certificates that were sent and are on the path, where they stand in another order than the path's."""
    on_path = [one for one in context.path if one in context.presented]
    sent = [one for one in dict.fromkeys(context.presented) if one in on_path]
    if sent == on_path:
        return
    yield RULE.finding(
        "warning",
        next(one for one, expected in zip(sent, on_path, strict=True) if one != expected),
        got=[one.subject.rfc4514_string() for one in sent],
        expected=[one.subject.rfc4514_string() for one in on_path],
        who=context.presenter,
        fix="Write the file anew, the leaf first and after each certificate the one that signed it: "
        "cat LEAF ISSUER … > CHAIN. leafward manager rotate does it for the hub's own.",
    )


RULE = Rule(
    code="chain-out-of-order",
    title="the certificates are not sent in their order",
    clause="RFC 5246 7.4.2; RFC 8446 4.4.2",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
