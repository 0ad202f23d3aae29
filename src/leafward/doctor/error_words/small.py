"""The words and the numbers of mbedTLS (Mbed TLS 2 and 3), wolfSSL and GnuTLS.

Small devices often print numbers alone. Those of mbedTLS' verification are flags (MBEDTLS_X509_BADCERT_*), one digit of
four each; those of wolfSSL count only beside a word for an error, as a number means nothing alone.
"""

from leafward.doctor.error_words.codes import ADDRESS, CUT_OFF, EXPIRED, FUTURE, NAME, NO_PATH, USE, Words

_NOT_SIGNED = (
    f"{NO_PATH} chain-out-of-order not-a-ca key-usage-missing-cert-sign path-length-exceeded signature-invalid "
    "self-signed-server"
)
_FLAGS = r"(?:flags?|verify[_ ]?result|verification(?: result)?)\W{0,12}0x0*"


def _flag(digit: str, place: int) -> str:
    """Flags with one of these digits at a place, counted from the right. Looked at and not taken: others may be set."""
    return rf"(?={_FLAGS}[0-9a-f]{{0,7}}[{digit}][0-9a-f]{{{place}}}\b)"


def _wolf(number: int) -> str:
    return rf"(?:wolfssl|err(?:or)?|ret(?:urn(?:ed)?)?|failed|code)\b[^\n-]{{0,40}}-{number}\b"


MBEDTLS: Words = (
    # What has to come first is said of the chain; a wrong name is the flag that people overlook.
    (_flag("89abcdef", 0), _NOT_SIGNED),
    (_flag("13579bdf", 0), EXPIRED),
    (_flag("2367abef", 0), "certificate-revoked"),
    (_flag("4567cdef", 0), f"{NAME} {ADDRESS}"),
    (_flag("4567cdef", 1), "no-certificate"),
    (_flag("2367abef", 2), FUTURE),
    (_flag("89abcdef", 2), "key-usage-missing-digital-signature key-usage-missing-cert-sign"),
    (_flag("13579bdf", 3), "eku-missing-server-auth eku-not-nested"),
    (_flag("4567cdef", 3), "weak-signature"),
    (_flag("89abcdef", 3), "weak-key unsupported-algorithm"),
    (_flag("13579bdf", 4), "weak-key"),
    (r"not correctly signed by the trusted CA", _NOT_SIGNED),
    (r"certificate validity has expired", EXPIRED),
    (r"certificate validity starts in the future", FUTURE),
    (r"Common Name \(CN\) does not match", f"{NAME} {ADDRESS}"),
    (r"Usage does not match the (extendedKeyUsage|keyUsage) extension", USE),
    (r"signed with an unacceptable hash", "weak-signature"),
    (r"extension tag or value is invalid", "unknown-critical-extension name-constraint-violated extension-malformed"),
    (r"signed with an unacceptable key|unacceptable PK alg", "weak-key unsupported-algorithm"),
    (r"-0x0*7680\b|No CA Chain is set", "root-file-is-not-root file-missing no-certificate"),
    (r"-0x0*3000\b|the chain is too long or the vrfy callback failed", "chain-too-deep"),
    (r"-0x0*7f00\b|SSL - Memory allocation failed", "chain-too-large-for-small-devices"),
    (r"-0x0*7200\b|An invalid SSL record was received", "not-tls chain-too-large-for-small-devices"),
    (r"-0x0*6e80\b|Handshake protocol not within min/max", "tls-version-unsupported"),
    (r"-0x0*7380\b|no ciphersuites in common", "no-shared-cipher"),
    (r"-0x0*7280\b|The connection indicated an EOF|-0x0*0?50\b|NET - Connection was reset", CUT_OFF),
    (r"-0x0*6800\b|SSL - The operation timed out", "connect-timeout"),
    (r"-0x0*52\b|Failed to get an IP address for the given hostname", "name-not-resolved"),
    (r"-0x0*44\b|connection to the given server / port failed", "port-closed connect-timeout"),
    (r"-0x0*(1080|2180|2780)\b|No PEM header or footer|Format not recognized as DER or PEM", "not-pem truncated-pem"),
    (r"-0x0*(1300|1380|3b80|3c00)\b|password does not allow for correct decryption", "key-encrypted"),
)
WOLFSSL: Words = (
    (rf"ASN date error, current date after|ASN_AFTER_DATE_E|{_wolf(151)}", EXPIRED),
    (rf"ASN date error, current date before|ASN_BEFORE_DATE_E|{_wolf(150)}", FUTURE),
    (rf"peer subject name mismatch|DOMAIN_NAME_MISMATCH|{_wolf(322)}", NAME),
    (rf"peer ip address mismatch|IPADDR_MISMATCH|{_wolf(325)}", ADDRESS),
    (rf"Ext Key Use server/client auth not set|{_wolf(386)}", "eku-missing-server-auth"),
    (rf"Critical extension ignored or invalid|ASN_CRIT_EXT_E|{_wolf(160)}", "unknown-critical-extension"),
    (rf"Name Constraint error|ASN_NAME_INVALID_E|{_wolf(198)}", "name-constraint-violated"),
    (rf"ASN CA path length larger than signer|{_wolf(237)}|{_wolf(238)}", "path-length-exceeded end-entity-is-a-ca"),
    (rf"ASN no signer|ASN_NO_SIGNER_E|{_wolf(188)}", NO_PATH),
    (rf"ASN sig error, confirm failure|ASN_SIG_CONFIRM_E|{_wolf(155)}", "signature-invalid stale-workload-ca"),
    (rf"ASN_SELF_SIGNED_E|{_wolf(275)}", "self-signed-server"),
    (rf"max chain depth exceeded|{_wolf(368)}", "chain-too-deep"),
    (rf"record layer version error|{_wolf(326)}", "tls-version-unsupported not-tls"),
    (rf"ASN no PEM header|{_wolf(162)}", "not-pem wrong-object"),
    (rf"peer didn't send (key|cert)|{_wolf(345)}", "no-certificate"),
    (rf"{_wolf(125)}|{_wolf(303)}", "chain-too-large-for-small-devices"),
)
GNUTLS: Words = (
    (r"certificate issuer is unknown", f"{NO_PATH} self-signed-server root-file-is-not-root"),
    (r"certificate issuer is not a CA", "not-a-ca"),
    (r"chain uses insecure algorithm", "weak-signature weak-key"),
    (
        r"violates the signer's constraints",
        "path-length-exceeded key-usage-missing-cert-sign name-constraint-violated not-a-ca",
    ),
    (r"chain uses expired certificate", EXPIRED),
    (r"chain uses not yet valid certificate", FUTURE),
    (r"The signature in the certificate is invalid", "signature-invalid"),
    (r"name in the certificate does not match", f"{NAME} {ADDRESS}"),
    (r"does not match the intended purpose", "eku-missing-server-auth eku-not-nested"),
    (r"contains an unknown critical extension", "unknown-critical-extension"),
    (r"An unexpected TLS packet was received", "not-tls"),
    (r"TLS connection was non-properly terminated", CUT_OFF),
)
WORDS: Words = (*MBEDTLS, *WOLFSSL, *GNUTLS)
