"""What TLS stacks say when they refuse, as sets of codes: a text alone names few faults, and rarely one.

Texts are those that the stacks print (OpenSSL and what stands on it: Python, Node, Mosquitto; Java, mbedTLS, wolfSSL,
GnuTLS, the Azure SDKs), held to them by `tests/doctor/test_error_texts.py`. The likeliest code stands first.
"""

import re
from dataclasses import dataclass

MOST_TEXT = 16 * 1024

_NO_PATH = (
    "root-not-trusted intermediate-missing root-same-name-different-key stale-workload-ca key-id-mismatch "
    "issuer-name-mismatch tls-intercepted"
)
_NAME = "hostname-mismatch san-missing"
_ADDRESS = "ip-san-missing ip-in-dns-san hostname-mismatch"
_EXPIRED, _FUTURE = "certificate-expired clock-wrong", "certificate-not-yet-valid clock-wrong"
_LOGIN = "sas-signature-wrong sas-expired device-unknown device-disabled thumbprint-mismatch common-name-not-device-id"
_CA = "not-a-ca key-usage-missing-cert-sign"
_EKU = "eku-missing-server-auth eku-not-nested key-usage-missing-digital-signature"

# (pattern, codes): the special before the general; what one has matched, no other looks at.
_TABLE: tuple[tuple[str, str], ...] = (
    # OpenSSL, Python, Node, Mosquitto, curl
    (
        r"self[- ]signed certificate in (certificate )?chain|SELF_SIGNED_CERT_IN_CHAIN|num=19\b",
        "root-not-trusted root-same-name-different-key tls-intercepted",
    ),
    (r"ASN self-signed certificate error", "self-signed-server"),
    (
        r"DEPTH_ZERO_SELF_SIGNED_CERT|num=18\b|(?<!in )self[- ]signed certificate",
        "self-signed-server issuer-same-name-as-server",
    ),
    (r"unable to get local issuer certificate|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|num=20\b", _NO_PATH),
    (
        r"unable to get issuer certificate|UNABLE_TO_GET_ISSUER_CERT\b|num=2\b",
        "root-file-is-not-root anchor-not-self-signed intermediate-missing",
    ),
    (
        r"unable to verify the first certificate|UNABLE_TO_VERIFY_LEAF_SIGNATURE|num=21\b",
        "intermediate-missing stale-workload-ca root-not-trusted key-id-mismatch issuer-name-mismatch",
    ),
    (r"certificate has expired|CERT_HAS_EXPIRED|certificate expired|num=10\b", _EXPIRED),
    (r"certificate is not yet valid|CERT_NOT_YET_VALID|num=9\b", _FUTURE),
    (r"IP address mismatch", _ADDRESS),
    (r"hostname mismatch|ERR_TLS_CERT_ALTNAME_INVALID[^\n]*Host:[^\n]*|num=62\b", _NAME),
    (r"ERR_TLS_CERT_ALTNAME_INVALID[^\n]*IP:[^\n]*|num=64\b", _ADDRESS),
    (r"does not match certificate's altnames[^\n]*", f"{_NAME} {_ADDRESS}"),
    (
        r"path length constraint exceeded|PATH_LENGTH_EXCEEDED|num=25\b|pathLenConstraint violated",
        "path-length-exceeded",
    ),
    (r"invalid CA certificate|INVALID_CA\b|num=(24|79)\b", _CA),
    (r"unsuitable certificate purpose|unsupported certificate purpose|INVALID_PURPOSE|num=26\b", _EKU),
    (r"key usage does not include certificate signing|num=32\b", "key-usage-missing-cert-sign not-a-ca"),
    (r"unhandled critical extension|num=34\b", "unknown-critical-extension"),
    (r"certificate signature failure|CERT_SIGNATURE_FAILURE|num=7\b", "signature-invalid root-same-name-different-key"),
    (r"permitted subtree violation|excluded subtree violation|num=4[78]\b", "name-constraint-violated"),
    (r"Missing Authority Key Identifier|num=85\b", "authority-key-id-missing"),
    (r"Missing Subject Key Identifier|num=86\b", "subject-key-id-missing"),
    (r"Basic Constraints of CA cert not marked critical|num=89\b", "basic-constraints-not-critical"),
    (r"CA cert does not include key usage extension|num=92\b", "key-usage-missing-cert-sign"),
    (r"(EE|CA) certificate key too weak|[ec]e key too small|ca key too small|num=6[67]\b", "weak-key"),
    (r"(signature|CA) (digest )?(signature digest )?algorithm too weak|ca md too weak|num=68\b", "weak-signature"),
    (r"certificate (has been )?revoked|CERT_REVOKED", "certificate-revoked"),
    (r"certificate chain too long|CERT_CHAIN_TOO_LONG", "chain-too-deep"),
    (r"excessive message size", "chain-too-large-for-small-devices"),
    # Java
    (r"unable to find valid certification path to requested target", f"{_NO_PATH} self-signed-server"),
    (r"Path does not chain with any of the trust anchors", "root-same-name-different-key root-not-trusted"),
    (r"validity check failed|NotAfter: |timestamp check failed", f"{_EXPIRED} certificate-not-yet-valid"),
    (r"NotBefore: ", _FUTURE),
    (r"signature check failed", "signature-invalid stale-workload-ca"),
    (r"CA key usage check failed", "key-usage-missing-cert-sign not-a-ca"),
    (r"basic constraints check failed", "not-a-ca path-length-exceeded"),
    (r"name constraints check failed", "name-constraint-violated"),
    (r"unrecognized critical extension", "unknown-critical-extension"),
    (r"Extended key usage does not permit", "eku-missing-server-auth"),
    (r"KeyUsage does not allow digital signatures", "key-usage-missing-digital-signature"),
    (r"No subject alternative names matching IP address|No subject alternative names present", _ADDRESS),
    (r"No subject alternative DNS name matching|No name matching", _NAME),
    (r"Unsupported or unrecognized SSL message", "not-tls"),
    # mbedTLS
    (
        r"not correctly signed by the trusted CA",
        (
            f"{_NO_PATH} chain-out-of-order not-a-ca key-usage-missing-cert-sign "
            "path-length-exceeded signature-invalid self-signed-server"
        ),
    ),
    (r"certificate validity has expired", _EXPIRED),
    (r"certificate validity starts in the future", _FUTURE),
    (r"Common Name \(CN\) does not match", f"{_NAME} {_ADDRESS}"),
    (r"Usage does not match the (extendedKeyUsage|keyUsage) extension", _EKU),
    (r"signed with an unacceptable hash", "weak-signature"),
    (r"extension tag or value is invalid", "unknown-critical-extension name-constraint-violated extension-malformed"),
    (r"signed with an unacceptable key|unacceptable PK alg", "weak-key unsupported-algorithm"),
    # wolfSSL
    (r"ASN date error, current date after", _EXPIRED),
    (r"ASN date error, current date before", _FUTURE),
    (r"peer subject name mismatch", _NAME),
    (r"peer ip address mismatch", _ADDRESS),
    (r"Ext Key Use server/client auth not set", "eku-missing-server-auth"),
    (r"Critical extension ignored or invalid", "unknown-critical-extension"),
    (r"Name Constraint error", "name-constraint-violated"),
    (r"ASN CA path length larger than signer", "path-length-exceeded end-entity-is-a-ca"),
    (r"ASN no signer error", _NO_PATH),
    (r"ASN sig error, confirm failure", "signature-invalid stale-workload-ca"),
    # GnuTLS
    (r"certificate issuer is unknown", f"{_NO_PATH} self-signed-server root-file-is-not-root"),
    (r"certificate issuer is not a CA", "not-a-ca"),
    (r"chain uses insecure algorithm", "weak-signature weak-key"),
    (
        r"violates the signer's constraints",
        "path-length-exceeded key-usage-missing-cert-sign name-constraint-violated not-a-ca",
    ),
    (r"chain uses expired certificate", _EXPIRED),
    (r"chain uses not yet valid certificate", _FUTURE),
    (r"The signature in the certificate is invalid", "signature-invalid"),
    (r"name in the certificate does not match", f"{_NAME} {_ADDRESS}"),
    (r"does not match the intended purpose", "eku-missing-server-auth eku-not-nested"),
    (r"contains an unknown critical extension", "unknown-critical-extension"),
    # Alerts, as each spells them
    (
        r"alert unknown ca|TLSV1_ALERT_UNKNOWN_CA|unknown_ca|unknown certificate authority",
        "client-chain-incomplete root-not-trusted",
    ),
    (r"certificate required|certificate_required|CERTIFICATE_REQUIRED", "client-certificate-required"),
    (
        r"alert protocol version|PROTOCOL_VERSION|unsupported protocol|protocol_version|UNSUPPORTED_PROTOCOL",
        "tls-version-unsupported",
    ),
    (
        r"alert handshake failure|HANDSHAKE_FAILURE|handshake_failure|no shared cipher|no cipher match",
        "no-shared-cipher client-certificate-required",
    ),
    (r"wrong version number|WRONG_VERSION_NUMBER|EPROTO|packet length too long|http request", "not-tls"),
    (r"alert bad certificate|bad_certificate", "hostname-mismatch root-not-trusted refused-in-handshake"),
    (r"alert certificate unknown|certificate_unknown", "root-not-trusted refused-in-handshake"),
    (r"unrecognized name|unrecognized_name", "refused-in-handshake hostname-mismatch"),
    (
        (
            r"unexpected eof|UNEXPECTED_EOF|EOF occurred in violation|socket hang up|ECONNRESET|connection reset|"
            r"Client network socket disconnected"
        ),
        "refused-in-handshake not-tls tls-intercepted",
    ),
    (r"Connection Refused: (not authori[sz]ed|bad user ?name or password)", _LOGIN),  # paho's words for CONNACK 5 and 4
    # Before TLS
    (
        (
            r"Name or service not known|ENOTFOUND|EAI_AGAIN|UnknownHostException|nodename nor servname|"
            r"getaddrinfo failed|Temporary failure in name resolution"
        ),
        "name-not-resolved",
    ),
    (r"connection refused|ECONNREFUSED", "port-closed"),
    (r"timed out|ETIMEDOUT|EHOSTUNREACH|No route to host|timeout", "connect-timeout"),
    # Logins
    (r"not authori[sz]ed|Unauthorized|CONNACK 5|bad user ?name or password|401\d{3}|rc=?\s?[45]\b", _LOGIN),
    (r"Incorrect padding|Invalid base64", "shared-access-key-invalid"),
    (
        r"Invalid Connection String|connection string is required|ArgumentError[^\n]*connection string",
        "connection-string-malformed",
    ),
    # Files
    (r"key values mismatch|KEY_VALUES_MISMATCH", "key-mismatch"),
    (r"no start line|NO_START_LINE|PEM lib|NO_CERTIFICATE_OR_CRL_FOUND", "not-pem truncated-pem wrong-object"),
    (r"bad decrypt|bad password|BAD_DECRYPT", "key-encrypted"),
    (r"permission denied|EACCES", "file-not-readable socket-permission"),
    (r"no such file|ENOENT|FileNotFoundError|FileNotFoundException", "file-missing"),
    # What says no more than that it failed; only where nothing above said more.
    (
        r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|PKIX path (building|validation) failed",
        (
            f"{_NO_PATH} certificate-expired certificate-not-yet-valid {_CA} "
            "subject-key-id-missing chain-out-of-order path-length-exceeded "
            "signature-invalid"
        ),
    ),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), tuple(codes.split())) for pattern, codes in _TABLE)
_GENERAL = len(_PATTERNS) - 1


@dataclass(frozen=True, slots=True)
class ErrorReading:
    """A text, the codes that it may stand for (the likeliest first), and the words that said so."""

    text: str
    codes: tuple[str, ...]
    words: tuple[str, ...]


def read_error(text: str) -> ErrorReading:
    """What a stack's text may mean; no codes where it is none that is known.

    >>> read_error("SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired").codes
    ('certificate-expired', 'clock-wrong')
    """
    rest, codes, words = text[:MOST_TEXT], list[str](), list[str]()
    for number, (pattern, meant) in enumerate(_PATTERNS):
        if number == _GENERAL and codes:
            break
        found = pattern.search(rest)
        if found is None:
            continue
        codes += meant
        words.append(found[0][:200])
        rest = pattern.sub(" ", rest)
    return ErrorReading(text, tuple(dict.fromkeys(codes)), tuple(words))
