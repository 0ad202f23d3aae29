"""How we ask `cryptography.x509.verification`, and what its refusals mean in our codes.

Its traps: a client certificate without a SAN needs a policy of its own; a server's without one is always refused;
`max_chain_depth` counts intermediates; keys are RSA and NIST curves only, with no way to allow Ed25519 or ML-DSA.
Its messages are not promised to stay: an unknown one still refuses, under the code `refused-by-library`.
"""

import re

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, Subject

from leafward.pki.extension import value
from leafward.pki.names import Host, HostName
from leafward.pki.rule import Purpose

FALLBACK = "refused-by-library"

MEANINGS: tuple[tuple[str, str], ...] = (
    (r"unaccounted-for critical|duplicate extension", "unknown-critical-extension"),
    (r"no matching subjectAltName", "hostname-mismatch"),
    (r"2\.5\.29\.17|no subjectAltName|no subject alternative name", "san-missing"),
    (r"2\.5\.29\.35|authorityKeyIdentifier", "authority-key-id-missing"),
    (r"2\.5\.29\.14|subjectKeyIdentifier", "subject-key-id-missing"),
    (r"must not be asserted|keyCertSign must not", "end-entity-is-a-ca"),
    (r"2\.5\.29\.15|keyUsage", "key-usage-missing-cert-sign"),
    (r"2\.5\.29\.19.*critical", "basic-constraints-not-critical"),
    (r"2\.5\.29\.19|basicConstraints", "not-a-ca"),
    (r"name ?constraint|2\.5\.29\.30", "name-constraint-violated"),
    (r"path length", "path-length-exceeded"),
    (r"max depth", "chain-too-deep"),
    (r"Forbidden public key|Forbidden signature|malformed public key", "unsupported-algorithm"),
    (r"too weak", "weak-key"),
    (r"serial", "serial-invalid"),
    (r"not valid at validation time", "certificate-expired"),
    (r"UtcTime", "time-encoding-invalid"),
    (r"X509v3|non-empty Issuer|mismatch between", "certificate-malformed"),
    (r"no interior errors", "issuer-name-mismatch"),  # no certificate at hand has the name of the issuer
)


def client_policies() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """(CA, end-entity) policies for a client: as strict as the library's own, but a SAN may be absent.

    IoT Hub knows a device by its common name, so its certificates need no SAN.
    """
    ee_policy = ExtensionPolicy.webpki_defaults_ee().may_be_present(
        x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
    )
    return ExtensionPolicy.webpki_defaults_ca(), ee_policy


def library_subject(host: Host | None, leaf: x509.Certificate) -> Subject | None:
    """The name the library is to look for: the host, or one of the certificate's own where no name is asked for.

    None where the certificate has no name that a server could go by.
    """
    if isinstance(host, HostName):
        return x509.DNSName(host.text)
    if host is not None:
        return x509.IPAddress(host)
    names = value(leaf, x509.SubjectAlternativeName) or ()
    for name in names:
        if isinstance(name, x509.IPAddress) or (isinstance(name, x509.DNSName) and name.value.isascii()):
            return x509.DNSName(name.value.replace("*", "any", 1)) if isinstance(name, x509.DNSName) else name
    return None


def code_of(message: str, purpose: Purpose) -> str:
    """Our code for a refusal of the library."""
    if "required EKU" in message or "2.5.29.37" in message:
        return "eku-missing-client-auth" if purpose == "client" else "eku-missing-server-auth"
    for pattern, code in MEANINGS:
        if re.search(pattern, message, re.IGNORECASE):
            return code
    return FALLBACK


def message_of(message: str) -> str:
    """The library's message without its wrapping and its dump of the certificate."""
    return re.sub(r"^validation failed: |candidates exhausted: | \(encountered processing <Certificate.*$", "", message)
