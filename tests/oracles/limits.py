"""What a judge does not know, and why: the one place where a combination is left out of a trial.

The reasons speak of Debian 12's versions. A newer judge may know more; then the row goes.
"""

from dataclasses import dataclass

HANDSHAKES_ONLY = ("mbedtls", "wolfssl", "java-tls", "node", "python-ssl")
JAVA = ("java-path", "java-tls")
# Our own `verify` asks pyca too, so it is as limited, and is no oracle: it is held to the same verdicts.
PYCA = ("pyca", "leafward")
JUDGES = ("openssl", "gnutls", "nss", "java-path", "openssl-4", *PYCA, *HANDSHAKES_ONLY)


@dataclass(frozen=True)
class Limit:
    """These judges are not asked about cases that have all of these traits."""

    judges: tuple[str, ...]
    traits: frozenset[str]
    reason: str


def _limit(judges: str | tuple[str, ...], *traits: str, reason: str) -> Limit:
    return Limit((judges,) if isinstance(judges, str) else judges, frozenset(traits), reason)


LIMITS = (
    # What a judge cannot be asked at all.
    _limit(HANDSHAKES_ONLY, "ca", reason="no peer presents a CA as itself; each is judged above the peers"),
    _limit(HANDSHAKES_ONLY, "responder", reason="no peer of TLS presents it"),
    _limit(PYCA, "ca", reason="it has verifiers for servers and clients only"),
    _limit(PYCA, "responder", reason="it has verifiers for servers and clients only"),
    _limit("java-path", "root_ca", reason="the anchor is no part of a path (RFC 5280 6.1)"),
    _limit("java-path", "wrong purpose", reason="CertPath looks at no purpose; java-tls does"),
    _limit("java-path", "wrong name", reason="CertPath compares no name; java-tls does"),
    _limit("nss", "wrong name", reason="vfychain takes no host name"),
    _limit(
        ("nss", "pyca", "mbedtls", "wolfssl", *JAVA),
        "intermediate for a root",
        reason="it takes whatever it is told to trust for an anchor, self-signed or not (RFC 5280 6.1.1 (d))",
    ),
    # Names.
    _limit("mbedtls", "by address", reason="mbedTLS 2.28 reads no iPAddress"),
    _limit("mbedtls", "by address-6", reason="mbedTLS 2.28 reads no iPAddress"),
    # Fences (name constraints).
    _limit("mbedtls", "fenced", reason="mbedTLS has no name constraints, and so refuses the critical extension"),
    _limit("wolfssl", "fenced", reason="it takes a CN for a DNS name, the workload CA's too, and finds it outside"),
    _limit(JAVA, "fenced", "verification", reason="it takes a CN without SAN for a DNS name, and finds it outside"),
    _limit(JAVA, "fenced", "leaf_device", reason="it takes a CN without SAN for a DNS name, and finds it outside"),
    _limit(
        "gnutls",
        "fenced",
        "workload_ca",
        reason="it takes the CN of what is asked about for a DNS name; above a hub not",
    ),
    # Purposes.
    # Key types.
    _limit("nss", "ed25519", reason="NSS 3.87 has no Ed25519 certificates"),
    _limit("mbedtls", "ed25519", reason="mbedTLS has no Ed25519"),
    _limit(PYCA, "ed25519", reason="its policy allows RSA and NIST curves only, and cannot be told otherwise"),
    _limit(("openssl", "node", "python-ssl"), "ml-dsa", reason="OpenSSL has it from 3.5 on"),
    _limit("gnutls", "ml-dsa", reason="GnuTLS has it from 3.8.9 on"),
    _limit("nss", "ml-dsa", reason="NSS 3.87 does not have it"),
    _limit(JAVA, "ml-dsa", reason="Java has it from 24 on"),
    _limit(("mbedtls", "wolfssl"), "ml-dsa", reason="neither mbedTLS nor wolfSSL 5.5 has it"),
    _limit(PYCA, "ml-dsa", reason="its policy allows RSA and NIST curves only, and cannot be told otherwise"),
)

# What pkilint finds in the certificates of a kind, and why we hold that it is right as it is.
ONE_LABEL = "a module's name is a DNS name of one label, which RFC 1034 3.5 allows and pkilint does not"
EXCUSED = {
    ("device_ca", "pkix.invalid_domain_name_syntax"): ONE_LABEL,  # in its fence
    ("hub_server", "pkix.invalid_domain_name_syntax"): ONE_LABEL,
    ("module_server", "pkix.invalid_domain_name_syntax"): ONE_LABEL,
    ("module_identity", "pkix.invalid_uri_syntax"): "pkilint knows web addresses only, and no scheme azureiot",
}


def limit_of(judge: str, traits: frozenset[str]) -> Limit | None:
    """The first limit that a case meets; None where the judge is to be asked."""
    assert judge in JUDGES, judge
    return next((one for one in LIMITS if judge in one.judges and one.traits <= traits), None)
