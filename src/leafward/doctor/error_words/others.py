"""The words of Go, .NET (with Windows' Schannel below it) and rustls."""

from leafward.doctor.error_words.codes import (
    ADDRESS,
    CA,
    CUT_OFF,
    EXPIRED,
    FUTURE,
    NAME,
    NO_PATH,
    UNTRUSTED,
    USE,
    Words,
)


def _status(flags: str) -> str:
    """One of the flags of a chain. Looked at and not taken: others may be set."""
    return rf"(?=(?:errors? in the certificate chain|ChainStatus|X509ChainStatusFlags)[^\n]{{0,400}}\b(?:{flags})\b)"


GO: Words = (
    (
        r"signed by unknown authority \(possibly because of[^\n]*",
        "root-same-name-different-key signature-invalid stale-workload-ca root-not-trusted",
    ),
    (r"certificate signed by unknown authority", f"{NO_PATH} self-signed-server"),
    (r"expired or is not yet valid: current time \S+ is before[^\n]*", FUTURE),
    (r"expired or is not yet valid: current time \S+ is after[^\n]*", EXPIRED),
    (r"expired or is not yet valid", f"{EXPIRED} certificate-not-yet-valid"),
    (r"certificate is not valid for any names|relies on legacy Common Name field", "san-missing hostname-mismatch"),
    (r"because it doesn't contain any IP SANs", ADDRESS),
    (r"certificate is valid for [^\n]*, not [\d.:]+\b", "hostname-mismatch ip-in-dns-san"),
    (r"certificate is valid for [^\n]*, not ", NAME),
    (r"too many intermediates for path length constraint", "path-length-exceeded"),
    (r"specifies an incompatible key usage", USE),
    (r"parent certificate cannot sign this kind of certificate", CA),
    (r"not authorized to sign other certificates", CA),
    (r"x509: unhandled critical extension", "unknown-critical-extension"),
    (r"insecure algorithm \S+", "weak-signature"),
    (r"is not permitted by any constraint|is excluded by constraint", "name-constraint-violated"),
    (r"x509: (ECDSA|RSA|Ed25519) verification (failure|error)", "signature-invalid root-same-name-different-key"),
    (r"does not look like a TLS handshake", "not-tls"),
    (r"private key does not match public key", "key-mismatch"),
    (r"failed to find any PEM data|failed to parse certificate|failed to find certificate PEM", "not-pem wrong-object"),
)
DOTNET: Words = (
    (rf"{_status('UntrustedRoot')}|SEC_E_UNTRUSTED_ROOT|issued by an authority that is not trusted", UNTRUSTED),
    (rf"{_status('PartialChain')}", NO_PATH),
    (rf"{_status('NotTimeValid')}|SEC_E_CERT_EXPIRED", f"{EXPIRED} certificate-not-yet-valid"),
    (rf"{_status('NotValidForUsage')}", USE),
    (rf"{_status('InvalidBasicConstraints')}", f"{CA} path-length-exceeded"),
    (
        rf"{_status('InvalidNameConstraints|HasNotPermittedNameConstraint|HasExcludedNameConstraint')}",
        "name-constraint-violated",
    ),
    (rf"{_status('NotSignatureValid')}", "signature-invalid stale-workload-ca"),
    (rf"{_status('Revoked')}", "certificate-revoked"),
    (rf"{_status('RevocationStatusUnknown|OfflineRevocation')}", "crl-unreachable"),
    (rf"{_status('HasWeakSignature')}", "weak-signature"),
    (rf"{_status('HasNotSupportedCriticalExtension|InvalidExtension')}", "unknown-critical-extension"),
    (r"RemoteCertificateNameMismatch|target principal name is incorrect|SEC_E_WRONG_PRINCIPAL", f"{NAME} {ADDRESS}"),
    (r"RemoteCertificateNotAvailable", "no-certificate"),
    (r"frame size or a corrupted frame", "not-tls"),
    (r"do not possess a common algorithm|SEC_E_ALGORITHM_MISMATCH", "no-shared-cipher tls-version-unsupported"),
    (r"Received an unexpected EOF or 0 bytes", CUT_OFF),
)
RUSTLS: Words = (
    (r"invalid peer certificate: UnknownIssuer", f"{NO_PATH} self-signed-server"),
    (r"invalid peer certificate: (Expired|certificate expired)", EXPIRED),
    (r"invalid peer certificate: (NotValidYet|certificate not valid yet)", FUTURE),
    (r"invalid peer certificate: (NotValidForName|certificate not valid for name)", f"{NAME} {ADDRESS}"),
    (r"invalid peer certificate: [^\n]*CaUsedAsEndEntity", "end-entity-is-a-ca self-signed-server"),
    (r"invalid peer certificate: BadSignature", "signature-invalid stale-workload-ca"),
    (r"invalid peer certificate: InvalidPurpose", USE),
)
WORDS: Words = (*GO, *DOTNET, *RUSTLS)
