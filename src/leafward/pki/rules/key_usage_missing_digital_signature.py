"""Rule 10: an end-entity's key may make the signatures of a handshake (RFC 5280 4.2.1.3, RFC 8446 4.4.2.2).

OpenSSL's path check is content with any of digitalSignature, keyEncipherment or keyAgreement for a server (and the
first or last for a client); TLS 1.3, and ECDHE in TLS 1.2, sign all the same.
"""

from collections.abc import Iterator

from cryptography import x509

from leafward.pki.extension import value
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """A leaf with a key usage that leaves out digitalSignature."""
    usage = value(context.leaf, x509.KeyUsage)
    if context.purpose == "ca" or usage is None or usage.digital_signature:
        return
    passes = usage.key_agreement or (context.purpose == "server" and usage.key_encipherment)
    yield RULE.finding(
        "warning" if passes else "error",
        context.leaf,
        got="keyUsage without digitalSignature",
        expected="digitalSignature",
        who=context.who(context.leaf),
        fix=f"Issue the certificate again: {context.reissue(context.leaf)}",
    )


RULE = Rule(
    code="key-usage-missing-digital-signature",
    title="the key may not sign a handshake",
    clause="RFC 5280 4.2.1.3; RFC 8446 4.4.2.2",
    step=Step.PURPOSE,
    check=check,
    refused_at_issue=True,
)
