"""Every certificate can be read: its names, its dates, its version (RFC 5280 4.1).

`check` asks this rule first, and alone where it finds something: no other rule could look at such a certificate.
"""

from collections.abc import Iterator

from leafward.pki.extension import unreadable
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the chain with a part that does not decode."""
    for certificate in context.chain:
        if why := unreadable(certificate):
            yield RULE.finding(
                "error",
                certificate,
                got=why,
                expected="a certificate as in RFC 5280",
                who="maker",
                fix="The file is damaged, or a faulty tool made the certificate: copy it again, or issue it anew "
                "(leafward ca sign).",
            )


RULE = Rule(
    code="certificate-malformed",
    title="a certificate cannot be read",
    clause="RFC 5280 4.1",
    step=Step.MALFORMED,
    check=check,
)
