"""Rule 10: a serial number is positive and has at most 20 octets (RFC 5280 4.1.2.2).

Libraries disagree on all others.
"""

from collections.abc import Iterator

from leafward.pki.extension import serial_number
from leafward.pki.rule import Context, Finding, Rule, Step

MOST_BITS = 159  # 20 octets, the first bit of which is the sign


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path with another serial number."""
    for certificate in context.path:
        serial = serial_number(certificate)
        if serial <= 0 or serial.bit_length() > MOST_BITS:
            yield RULE.finding(
                "warning",
                certificate,
                got=f"{serial:x}",
                expected="a positive number of at most 20 octets",
                who=context.who(certificate),
                fix=f"Issue the certificate again: {context.reissue(certificate)}",
            )


RULE = Rule(
    code="serial-invalid",
    title="a serial number is out of bounds",
    clause="RFC 5280 4.1.2.2",
    step=Step.ADVICE,
    check=check,
    refused_at_issue=True,
)
