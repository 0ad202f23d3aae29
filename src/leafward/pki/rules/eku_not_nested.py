"""Rule 10: a CA with an extended key usage allows the use below it.

RFC 5280 gives an EKU in a CA no meaning; every TLS stack reads it as a limit on what the CA may issue for, roots
included (check_purpose_ssl_server in OpenSSL).
"""

from collections.abc import Iterator

from leafward.pki.extension import purposes
from leafward.pki.rule import Context, Finding, Rule, Step
from leafward.pki.rules.eku_missing import NEEDED, purpose_names


def check(context: Context) -> Iterator[Finding]:
    """Each CA of the path whose EKU lacks the purpose in question."""
    needed = NEEDED.get(context.purpose)
    for ca in context.cas:
        has = purposes(ca)
        if needed is not None and has is not None and needed not in has:
            yield RULE.finding(
                "error",
                ca,
                got=purpose_names(has),
                expected=purpose_names(frozenset({needed})),
                who=context.who(ca),
                fix=f"Issue the CA without an extended key usage: {context.reissue(ca)}",
            )


RULE = Rule(
    code="eku-not-nested",
    title="a CA's extended key usage does not allow the use of the certificate below",
    clause="RFC 5280 4.2.1.12; CA/B Forum BR 7.1.2.4",
    step=Step.PURPOSE,
    check=check,
)
