"""Rule 10: a CA gives each certificate a serial number of its own (RFC 5280 4.1.2.2).

Revocation and some certificate stores know a certificate by issuer and serial number alone; NSS refuses the second one
it meets. IoT Edge from 1.2 on never sets the number, so that all it issues have 0.
"""

from collections.abc import Iterator

from leafward.pki.extension import serial_number
from leafward.pki.rule import Context, Finding, Rule, Step


def check(context: Context) -> Iterator[Finding]:
    """Each certificate, on the path or sent, that shares issuer and serial number with one above it or sent later."""
    seen: dict[tuple[bytes, int], str] = {}
    for certificate in reversed(dict.fromkeys((*context.path, *context.presented))):
        key = certificate.issuer.public_bytes(), serial_number(certificate)
        name = certificate.subject.rfc4514_string()
        if key in seen:
            yield RULE.finding(
                "warning",
                certificate,
                got=f"serial number {key[1]:x}, as {seen[key]} has",
                expected="a serial number that its issuer gave to no other certificate",
                who=context.who(certificate) if certificate in context.path else context.presenter,
                fix="Issue one of the two again, with a random serial number (leafward ca draws them so).",
            )
        seen[key] = name


RULE = Rule(
    code="duplicate-serial",
    title="two certificates of one issuer have the same serial number",
    clause="RFC 5280 4.1.2.2",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
