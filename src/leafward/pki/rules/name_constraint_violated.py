"""Rule 10: every name lies inside the name constraints of the CAs above it (RFC 5280 4.2.1.10, 6.1.3 (b), (c)).

DNS names, addresses, mail addresses, URIs and directory names are judged. A constraint on any other kind of name is a
violation as soon as a name of that kind is met, because it cannot be judged (OpenSSL does the same). An end-entity
without a dNSName is judged by its common name too, where that looks like a DNS name: so does OpenSSL.
"""

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

from leafward.pki.constraints import name_text, violation
from leafward.pki.extension import common_names, value
from leafward.pki.link import names_itself
from leafward.pki.rule import Context, Finding, Rule, Step

# What OpenSSL takes for a DNS name in a common name (cn2dnsid): two labels or more, no dot or hyphen at an end.
_DNS_LIKE = re.compile(r"(?!.*\.\.)(?!.*(-\.|\.-))[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+(?<!-)")


def check(context: Context) -> Iterator[Finding]:
    """Each name of a certificate outside of what a CA above it allows; self-issued CAs are exempt, a leaf never is."""
    for height, ca in enumerate(context.path):
        constraints = value(ca, x509.NameConstraints)
        if constraints is None or ca not in context.cas:
            continue
        for depth, certificate in enumerate(context.path[:height]):
            if depth and names_itself(certificate):
                continue
            for name in _names(certificate, is_leaf=depth == 0 and context.purpose != "ca"):
                why = violation(name, constraints)
                if why is not None:
                    yield RULE.finding(
                        "error",
                        certificate,
                        got=name_text(name),
                        expected=why,
                        who=context.who(ca),
                        fix=f"Use a name that {ca.subject.rfc4514_string()} may certify, or issue that CA again: "
                        f"{context.reissue(ca)}",
                    )


def _names(certificate: x509.Certificate, *, is_leaf: bool) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    for mail in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        # Old certificates have the address in the subject; a fence for addresses holds there too (RFC 5280 4.2.1.10).
        yield x509.RFC822Name._init_without_validation(str(mail.value))  # noqa: SLF001 - it may be no address
    alternative = value(certificate, x509.SubjectAlternativeName) or ()
    yield from alternative
    if is_leaf and not any(isinstance(one, x509.DNSName) for one in alternative):
        yield from (x509.DNSName(text) for text in common_names(certificate) if _DNS_LIKE.fullmatch(text))


RULE = Rule(
    code="name-constraint-violated",
    title="a name lies outside of a CA's name constraints",
    clause="RFC 5280 4.2.1.10",
    step=Step.NAME_CONSTRAINTS,
    check=check,
)
