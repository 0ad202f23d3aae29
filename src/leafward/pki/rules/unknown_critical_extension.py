"""Rule 10: no extension is critical that verifiers do not know (RFC 5280 4.2).

The list is OpenSSL's (X509_supported_extension). It takes key identifiers and alternative issuer names for unknown
when they are critical, and so do we: RFC 5280 says they must not be.
"""

from collections.abc import Iterator

from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from leafward.pki.extension import extensions
from leafward.pki.rule import Context, Finding, Rule, Step

KNOWN = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.OCSP_NO_CHECK,
        ObjectIdentifier("2.16.840.1.113730.1.1"),  # Netscape certificate type
        ObjectIdentifier("1.3.6.1.5.5.7.1.7"),  # IP address blocks, RFC 3779
        ObjectIdentifier("1.3.6.1.5.5.7.1.8"),  # AS numbers, RFC 3779
        ObjectIdentifier("1.3.6.1.5.5.7.1.14"),  # proxy certificate, RFC 3820
    }
)


def check(context: Context) -> Iterator[Finding]:
    """Each critical extension that is not in the list."""
    for certificate in context.path:
        for one in extensions(certificate):
            if one.critical and one.oid not in KNOWN:
                yield RULE.finding(
                    "error",
                    certificate,
                    got=one.oid.dotted_string,
                    expected="no critical extension beyond those of RFC 5280",
                    who=context.who(certificate),
                    fix=f"Issue the certificate again without it, or not critical: {context.reissue(certificate)}",
                )


RULE = Rule(
    code="unknown-critical-extension",
    title="a critical extension is unknown",
    clause="RFC 5280 4.2",
    step=Step.CRITICAL,
    check=check,
)
