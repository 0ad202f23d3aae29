"""What follows from what: a symptom of the cause is left out of the findings, so that nobody mends it in vain.

Only what must follow stands here. Two faults that may come alone are two faults.
"""

from collections.abc import Sequence

from leafward.doctor.finding import Finding

# Cause -> what follows from it, wherever in the chain.
_ANYWHERE: dict[str, frozenset[str]] = {
    "clock-wrong": frozenset({"certificate-not-yet-valid", "certificate-expired", "crl-unusable", "sas-expired"}),
    "stale-workload-ca": frozenset({"key-id-mismatch", "signature-invalid"}),
    "self-signed-server": frozenset({"root-not-trusted", "end-entity-is-a-ca", "common-name-equals-device-ca"}),
    "issuer-same-name-as-server": frozenset(
        {"common-name-equals-device-ca", "intermediate-missing", "root-not-trusted", "authority-key-id-missing"}
    ),
    "chain-file-leaf-not-first": frozenset({"chain-out-of-order"}),
    "ip-in-dns-san": frozenset({"hostname-invalid"}),
    "certificate-malformed": frozenset(
        {"intermediate-missing", "root-not-trusted", "no-certificate", "unrelated-certificate-in-chain"}
    ),
    **dict.fromkeys(
        ("file-missing", "file-not-readable", "truncated-pem", "not-pem", "wrong-object", "key-encrypted"),
        frozenset({"intermediate-missing", "root-not-trusted", "no-certificate", "key-mismatch"}),
    ),
    "extension-malformed": frozenset({"intermediate-missing", "root-not-trusted", "not-a-ca"}),
    "tls-intercepted": frozenset({"root-not-trusted", "intermediate-missing", "root-same-name-different-key"}),
    "client-chain-incomplete": frozenset({"intermediate-missing", "root-not-trusted"}),
    "device-ca-missing": frozenset({"no-certificate", "file-missing"}),
}
# A damaged file may have lost its first certificate: then a CA stands where the end-entity was, and is none.
_DAMAGE = frozenset({"truncated-pem", "not-pem", "certificate-malformed"})
_OF_A_LEAF = frozenset(
    {
        "end-entity-is-a-ca",
        "key-usage-missing-digital-signature",
        "eku-missing-server-auth",
        "san-missing",
        "hostname-mismatch",
        "ip-san-missing",
    }
)
# Cause -> what follows from it at the same certificate.
_SAME_CERTIFICATE: dict[str, frozenset[str]] = {
    "not-a-ca": frozenset(
        {"key-usage-missing-cert-sign", "path-length-exceeded", "basic-constraints-not-critical", "eku-not-nested"}
    ),
    "extension-malformed": frozenset(
        {
            "authority-key-id-missing",
            "subject-key-id-missing",
            "key-usage-missing-cert-sign",
            "san-missing",
            "ip-san-missing",
            "path-length-exceeded",
        }
    ),
    "weak-key": frozenset({"unsupported-algorithm"}),
    # A signature over SHA-1 is not checked any more, so nobody can say that it is wrong.
    "weak-signature": frozenset({"signature-invalid"}),
    "key-id-mismatch": frozenset({"signature-invalid"}),
    "issuer-name-mismatch": frozenset({"key-id-mismatch", "signature-invalid"}),
    "self-signed-server": frozenset({"authority-key-id-missing"}),
}


def follows(finding: Finding, cause: Finding, findings: Sequence[Finding]) -> bool:
    """Whether a finding is a symptom: of the cause, or of another error among the findings at the same certificate."""
    if finding.code in _ANYWHERE.get(cause.code, ()):
        return True
    if cause.code in _DAMAGE and finding.code in _OF_A_LEAF:
        return any(
            other.code == "end-entity-is-a-ca" and other.certificate == finding.certificate for other in findings
        )
    return any(
        other.severity == "error"
        and other.certificate == finding.certificate
        and finding.code in _SAME_CERTIFICATE.get(other.code, ())
        for other in (cause, *findings)
        if other is not finding
    )
