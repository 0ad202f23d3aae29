"""No certificate of the path is revoked, and a list that is given can be believed (RFC 5280 6.3).

One look into the lists gives one of three codes. Without a list for an issuer nothing is said.
"""

from collections.abc import Iterator

from leafward.pki.revocation import Standing, look_up
from leafward.pki.rule import Context, Finding, Rule, Step


def _rule(code: str, title: str, standing: Standing, expected: str, fix: str) -> Rule:
    def check(context: Context) -> Iterator[Finding]:
        for link in context.links if context.crls else ():
            answer = look_up(link, context.crls, context.now)
            if answer is not None and answer.standing is standing:
                yield rule.finding(
                    "error",
                    link.child,
                    got=answer.detail,
                    expected=expected,
                    who=context.who(link.issuer),
                    fix=fix.format(again=context.reissue(link.child)),
                )

    rule = Rule(code=code, title=title, clause="RFC 5280 6.3.3", step=Step.REVOCATION, check=check)
    return rule


RULES = (
    _rule(
        "certificate-revoked",
        "a certificate is revoked",
        Standing.REVOKED,
        "a certificate that is in no revocation list",
        "Replace the certificate: {again}",
    ),
    _rule(
        "crl-expired",
        "a revocation list is out of date",
        Standing.EXPIRED,
        "a list that is current",
        "Get a fresh list from the issuer: leafward ca crl",
    ),
    _rule(
        "crl-unusable",
        "a revocation list cannot be believed",
        Standing.UNUSABLE,
        "a list signed by the issuer of the certificate",
        "Get the list from the issuer again: leafward ca crl",
    ),
)
