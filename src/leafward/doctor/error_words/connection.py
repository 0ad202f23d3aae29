"""What is said of a connection: alerts of TLS, what comes before TLS, logins, files."""

from leafward.doctor.error_words.codes import CUT_OFF, LOGIN, Words


def _alert(number: int, names: str) -> str:
    """An alert as OpenSSL, Java, Go and GnuTLS spell it; numbers as in "SSL alert number 48", "alert [48]"."""
    return (
        rf"(?:alert:? |tls: |tlsv1[23]?_alert_|sslv3_alert_)(?:{names})|alert (?:number )?\[?{number}\b\]?(?:: [^\n]*)?"
    )


ALERTS: Words = (
    (
        _alert(48, "unknown[ _]ca|unknown certificate authority") + "|unknown_ca|unknown certificate authority",
        "client-chain-incomplete root-not-trusted",
    ),
    (_alert(116, "certificate[ _]required") + "|certificate[ _]required", "client-certificate-required"),
    (
        _alert(70, "protocol[ _]version( not supported)?")
        + "|PROTOCOL_VERSION|protocol_version|unsupported[ _]protocol|unsupported protocol version",
        "tls-version-unsupported",
    ),
    (
        _alert(40, "handshake[ _]failure") + "|HANDSHAKE_FAILURE|no shared cipher|no cipher match|dh key too small",
        "no-shared-cipher client-certificate-required tls-version-unsupported key-usage-missing-digital-signature",
    ),
    (
        _alert(47, "illegal[ _]parameter") + "|" + _alert(71, "insufficient[ _]security"),
        "no-shared-cipher refused-in-handshake",
    ),
    (r"wrong version number|WRONG_VERSION_NUMBER|packet length too long|http request", "not-tls"),
    # From a server it is about the leaf's certificate; in a server's log it is what the leaf said of the server's.
    (
        _alert(42, "bad[ _]certificate") + "|bad_certificate",
        "refused-in-handshake client-chain-incomplete thumbprint-mismatch hostname-mismatch root-not-trusted",
    ),
    (
        _alert(46, "certificate[ _]unknown|unknown certificate") + "|certificate_unknown",
        "refused-in-handshake thumbprint-mismatch root-not-trusted hostname-mismatch",
    ),
    (_alert(43, "unsupported[ _]certificate"), "refused-in-handshake eku-missing-client-auth eku-missing-server-auth"),
    (_alert(49, "access[ _]denied"), "refused-in-handshake device-unknown device-disabled"),
    (_alert(51, "decrypt[ _]error"), "signature-invalid root-same-name-different-key key-mismatch"),
    (_alert(112, "unrecogni[sz]ed[ _]name") + "|unrecognized_name", "refused-in-handshake hostname-mismatch"),
    (_alert(120, "no[ _]application[ _]protocol"), "refused-in-handshake"),
    (_alert(80, "internal[ _]error"), "refused-in-handshake"),
    (
        (
            r"unexpected eof|UNEXPECTED_EOF|EOF occurred in violation|socket hang up|ECONNRESET|connection reset|"
            r"Client network socket disconnected|Server disconnected"
        ),
        CUT_OFF,
    ),
)
LOGINS: Words = (
    # What paho and MQTT.js say for CONNACK 5 and 4, 2, 3 and 1: a port that answers so is not closed.
    (r"Connection Refused: (not authori[sz]ed|bad user ?name or password)", LOGIN),
    (r"Connection Refused: identifier rejected", "connection-string-malformed device-unknown"),
    (r"Connection Refused: (broker unavailable|server unavailable|unacceptable protocol version)", ""),
)
BEFORE: Words = (
    (
        (
            r"Name or service not known|ENOTFOUND|EAI_AGAIN|UnknownHostException|nodename nor servname|"
            r"getaddrinfo failed|Temporary failure in name resolution|Could not resolve host|no such host|Lookup error"
        ),
        "name-not-resolved",
    ),
    (r"connection refused|ECONNREFUSED|actively refused it", "port-closed"),
    (r"Connect call failed|Couldn't connect to server", "port-closed connect-timeout"),
    (
        (
            r"timed out|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|No route to host|network is unreachable|"
            r"i/o timeout|TimeoutError\b|TimeoutException\b|connect(ion)? timeout"
        ),
        "connect-timeout",
    ),
)
AFTER: Words = (
    (r"not authori[sz]ed|Unauthorized|CONNACK 5|bad user ?name or password|401\d{3}|rc=?\s?[45]\b", LOGIN),
    (r"Incorrect padding|Invalid base64", "shared-access-key-invalid"),
    (
        r"Invalid Connection String|connection string is required|ArgumentError[^\n]*connection string",
        "connection-string-malformed",
    ),
)
FILES: Words = (
    (r"key values mismatch|KEY_VALUES_MISMATCH", "key-mismatch"),
    (r"no start line|NO_START_LINE|PEM lib|NO_CERTIFICATE_OR_CRL_FOUND", "not-pem truncated-pem wrong-object"),
    (r"error setting certificate (verify locations|file)", "file-missing not-pem file-not-readable"),
    (r"bad decrypt|bad password|BAD_DECRYPT", "key-encrypted"),
    (r"permission denied|EACCES", "file-not-readable socket-permission"),
    (r"no such file|ENOENT|FileNotFoundError|FileNotFoundException", "file-missing"),
    (r"Could not (read|find) certificate|unable to load certificate", "not-pem wrong-object file-missing"),
)
WORDS: Words = (*ALERTS, *LOGINS, *BEFORE, *AFTER, *FILES)
