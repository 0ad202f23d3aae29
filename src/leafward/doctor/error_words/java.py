"""The words of Java's PKIX validation and of its TLS."""

from leafward.doctor.error_words.codes import ADDRESS, CUT_OFF, EXPIRED, FUTURE, NAME, NO_PATH, Words

WORDS: Words = (
    (r"unable to find valid certification path to requested target", f"{NO_PATH} self-signed-server"),
    (r"Path does not chain with any of the trust anchors", "root-same-name-different-key root-not-trusted"),
    # s_client lists both of every certificate.
    (r"(?<!v:)NotBefore: ", FUTURE),
    (r"(?<!; )NotAfter: ", EXPIRED),
    (r"signature check failed", "signature-invalid stale-workload-ca"),
    (r"CA key usage check failed", "key-usage-missing-cert-sign not-a-ca"),
    (r"basic constraints check failed|End user tried to act as a CA", "not-a-ca path-length-exceeded"),
    (r"name constraints check failed", "name-constraint-violated"),
    (r"unrecognized critical extension", "unknown-critical-extension"),
    (r"Extended key usage does not permit", "eku-missing-server-auth"),
    (r"KeyUsage does not allow (digital signatures|key encipherment)", "key-usage-missing-digital-signature"),
    (r"constraints check failed on keysize limits", "weak-key"),
    (r"constraints check failed on (signature|disabled) algorithm", "weak-signature weak-key"),
    (r"trustAnchors parameter must be non-empty", "root-file-is-not-root file-missing no-certificate"),
    (r"No subject alternative names matching IP address|No subject alternative names present", ADDRESS),
    (r"No subject alternative DNS name matching|No name matching", NAME),
    (r"Unsupported or unrecognized SSL message", "not-tls"),
    (
        r"server selected protocol version|No appropriate protocol",
        "tls-version-unsupported",
    ),
    (r"Remote host (terminated the|closed connection during) handshake|SSL peer shut down incorrectly", CUT_OFF),
    (r"Keystore was tampered with, or password was incorrect|keystore password was incorrect", "key-encrypted"),
)
