"""The words of OpenSSL 1.1 and 3, and of what stands on it: Python, Node, curl, Mosquitto."""

from leafward.doctor.error_words.codes import (
    ADDRESS,
    CA,
    EXPIRED,
    FUTURE,
    NAME,
    NO_PATH,
    USE,
    Words,
)

WORDS: Words = (
    # s_client goes on after its first error; the two together are said of a server's certificate that stands alone.
    (
        r"num=20\b(?s:.{0,2000}?)num=21\b[^\n]*",
        "intermediate-missing stale-workload-ca root-not-trusted key-id-mismatch issuer-name-mismatch",
    ),
    (
        r"self[- ]signed certificate in (certificate )?chain|SELF_SIGNED_CERT_IN_CHAIN|num=19\b",
        "root-not-trusted root-same-name-different-key tls-intercepted",
    ),
    (r"ASN self-signed certificate error", "self-signed-server"),
    (
        r"DEPTH_ZERO_SELF_SIGNED_CERT|num=18\b|(?<!in )self[- ]signed certificate",
        "self-signed-server issuer-same-name-as-server",
    ),
    (r"unable to get local issuer certificate|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|num=20\b", NO_PATH),
    (
        r"unable to get issuer certificate|UNABLE_TO_GET_ISSUER_CERT\b|num=2\b",
        "root-file-is-not-root anchor-not-self-signed intermediate-missing",
    ),
    (
        r"unable to verify the first certificate|UNABLE_TO_VERIFY_LEAF_SIGNATURE|num=21\b",
        "intermediate-missing stale-workload-ca root-not-trusted key-id-mismatch issuer-name-mismatch",
    ),
    (r"certificate has expired(?! or is not)|CERT_HAS_EXPIRED|certificate expired|num=10\b", EXPIRED),
    (r"certificate is not yet valid|CERT_NOT_YET_VALID|num=9\b", FUTURE),
    (r"IP address mismatch", ADDRESS),
    (r"host ?name mismatch|ERR_TLS_CERT_ALTNAME_INVALID[^\n]*Host:[^\n]*|num=62\b", NAME),
    (r"ERR_TLS_CERT_ALTNAME_INVALID[^\n]*IP:[^\n]*|num=64\b", ADDRESS),
    (r"does not match certificate's altnames: IP: [^\n]*", ADDRESS),
    (r"does not match certificate's altnames: Host: [^\n]*", NAME),
    (r"does not match certificate's altnames[^\n]*", f"{NAME} {ADDRESS}"),
    (r"hostname '([\d.]+|[\da-f]*:[\da-f:.]+)' doesn't match", ADDRESS),
    (r"hostname '[^'\n]*' doesn't match|host name verification failed", f"{NAME} {ADDRESS}"),
    (
        (
            r"no alternative certificate subject name matches target (ipv[46] address|host name '[\d.:]+')|"
            r"does not match target (ipv[46] address|host name '[\d.:]+')"
        ),
        ADDRESS,
    ),
    (r"no alternative certificate subject name matches target|does not match target host name", NAME),
    (
        r"path length constraint exceeded|PATH_LENGTH_EXCEEDED|num=25\b|pathLenConstraint violated",
        "path-length-exceeded",
    ),
    (r"invalid CA certificate|INVALID_CA\b|num=(24|79)\b", CA),
    (r"unsuitable certificate purpose|unsupported certificate purpose|INVALID_PURPOSE|num=26\b", USE),
    (r"key usage does not include certificate signing|num=32\b", "key-usage-missing-cert-sign not-a-ca"),
    (r"unhandled critical extension|num=34\b", "unknown-critical-extension"),
    (r"subject issuer mismatch|num=29\b", "issuer-name-mismatch stale-workload-ca"),
    (r"authority and (subject|issuer) (key identifier|serial number) mismatch|num=3[01]\b", "key-id-mismatch"),
    (r"asn1 encoding routines:[^\n]*EVP lib", "signature-invalid root-same-name-different-key"),
    (r"certificate signature failure|CERT_SIGNATURE_FAILURE|num=7\b", "signature-invalid root-same-name-different-key"),
    (r"permitted subtree violation|excluded subtree violation|num=4[78]\b", "name-constraint-violated"),
    (r"Missing Authority Key Identifier|num=85\b", "authority-key-id-missing"),
    (r"Missing Subject Key Identifier|num=86\b", "subject-key-id-missing"),
    (r"Basic Constraints of CA cert not marked critical|num=89\b", "basic-constraints-not-critical"),
    (r"CA cert does not include key usage extension|num=92\b", "key-usage-missing-cert-sign"),
    (r"(EE|CA) certificate key too weak|[ec]e key too small|ca key too small|num=6[67]\b", "weak-key"),
    (r"(signature|CA) (digest )?(signature digest )?algorithm too weak|ca md too weak|num=68\b", "weak-signature"),
    (r"certificate (has been )?revoked|CERT_REVOKED|num=23\b", "certificate-revoked"),
    (r"unable to get certificate CRL|UNABLE_TO_GET_CRL|num=3\b", "crl-unreachable"),
    (r"CRL has expired|CRL_HAS_EXPIRED|num=12\b", "crl-expired"),
    (r"certificate chain too long|CERT_CHAIN_TOO_LONG|num=22\b", "chain-too-deep"),
    (r"excessive message size", "chain-too-large-for-small-devices"),
)
