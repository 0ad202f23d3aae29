"""Rule 10: the policies of a certificate are among its issuer's (RFC 5280 4.2.1.4, 6.1.3 (d)).

A policy that the issuer does not name is void on the path. Verifiers look only where they are asked to (OpenSSL's
-policy_check), so it is a warning when met, and refused when we issue.
"""

from collections.abc import Iterator

from cryptography.x509 import ObjectIdentifier

from leafward.pki.constraints import ANY_POLICY, policies_of
from leafward.pki.extension import extensions
from leafward.pki.link import signs_itself
from leafward.pki.rule import Context, Finding, Rule, Step

_POLICY_MAPPINGS = ObjectIdentifier("2.5.29.33")


def check(context: Context) -> Iterator[Finding]:
    """Each certificate with a policy that its issuer has not. A root's policies mean nothing; mappings rename them."""
    for link in context.links:
        allowed = policies_of(link.issuer)
        mapped = any(one.oid == _POLICY_MAPPINGS for one in extensions(link.issuer))
        if not allowed or ANY_POLICY in allowed or mapped or signs_itself(link.issuer):
            continue
        void = [one.dotted_string for one in policies_of(link.child) if one not in (*allowed, ANY_POLICY)]
        if void:
            yield RULE.finding(
                "warning",
                link.child,
                got=void,
                expected=[one.dotted_string for one in allowed],
                who=context.who(link.child),
                fix="Use a policy of the issuing CA, or issue that CA again with the policy (--policy): "
                f"{context.reissue(link.issuer)}",
            )


RULE = Rule(
    code="policy-not-nested",
    title="a policy is not one of the issuer's",
    clause="RFC 5280 4.2.1.4, 6.1.3 (d)",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
