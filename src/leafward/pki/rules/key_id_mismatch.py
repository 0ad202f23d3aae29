"""Rule 6: the authority key identifier of a certificate is the subject key identifier of its issuer (RFC 5280 4.2.1.1).

OpenSSL does not take a certificate for the issuer where the two differ, even if its key made the signature.
"""

from collections.abc import Iterator

from leafward.pki.extension import authority_key_id, serial_number, subject_key_id
from leafward.pki.rule import Context, Finding, Rule, Step
from leafward.pki.rules.stale_workload_ca import is_stale


def check(context: Context) -> Iterator[Finding]:
    """Each link whose key identifiers are both there and differ."""
    for place, link in enumerate(context.links):
        if link.key_ids_match is not False or (place == 0 and context.purpose != "ca" and is_stale(link)):
            continue
        asked, had = authority_key_id(link.child), subject_key_id(link.issuer)
        yield RULE.finding(
            "error",
            link.child,
            got="another issuer serial number" if asked == had else asked.hex() if asked else None,
            expected=had.hex() if had else f"issuer serial number {serial_number(link.issuer):x}",
            who=context.who(link.child),
            fix="Present the issuer that signed this certificate, or issue it again: " + context.reissue(link.child),
            signature="verifies" if link.signed else "does not verify",
        )


RULE = Rule(
    code="key-id-mismatch",
    title="the key identifiers of a certificate and its issuer differ",
    clause="RFC 5280 4.2.1.1",
    step=Step.PATH,
    check=check,
)
