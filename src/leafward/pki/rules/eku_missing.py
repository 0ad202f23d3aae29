"""Rule 10: the extended key usage of the end-entity names what it is used for (RFC 5280 4.2.1.12).

No extension allows every use. OpenSSL does not take anyExtendedKeyUsage for server or client authentication.
"""

from collections.abc import Callable, Iterator

from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from leafward.pki.extension import purposes
from leafward.pki.rule import Context, Finding, Purpose, Rule, Step

NEEDED: dict[Purpose, ObjectIdentifier] = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "responder": ExtendedKeyUsageOID.OCSP_SIGNING,
}


def purpose_names(oids: frozenset[ObjectIdentifier]) -> list[str]:
    """The uses in words, sorted: OpenSSL's names where there is one, the dotted number otherwise."""
    return sorted(_NAMES.get(oid, oid.dotted_string) for oid in oids)


_NAMES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timeStamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
}


def _check(purpose: Purpose, rule: Callable[[], Rule]) -> Callable[[Context], Iterator[Finding]]:
    def check(context: Context) -> Iterator[Finding]:
        has = purposes(context.leaf)
        if context.purpose == purpose and has is not None and NEEDED[purpose] not in has:
            yield rule().finding(
                "error",
                context.leaf,
                got=purpose_names(has),
                expected=_NAMES[NEEDED[purpose]],
                who=context.who(context.leaf),
                fix=f"Issue the certificate again for this use: {context.reissue(context.leaf)}",
            )

    return check


SERVER: Rule = Rule(
    code="eku-missing-server-auth",
    title="the certificate is not for servers",
    clause="RFC 5280 4.2.1.12",
    step=Step.PURPOSE,
    check=_check("server", lambda: SERVER),
)
CLIENT: Rule = Rule(
    code="eku-missing-client-auth",
    title="the certificate is not for clients",
    clause="RFC 5280 4.2.1.12",
    step=Step.PURPOSE,
    check=_check("client", lambda: CLIENT),
)

RULES = (SERVER, CLIENT)
