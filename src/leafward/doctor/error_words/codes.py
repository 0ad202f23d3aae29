"""Sets of codes that many texts share, the likeliest first: a text names few faults, and rarely one."""

from typing import TypeAlias

# (pattern, codes with blanks between them): what one has matched, no later one looks at.
Words: TypeAlias = tuple[tuple[str, str], ...]

NO_PATH = (
    "root-not-trusted intermediate-missing root-same-name-different-key stale-workload-ca key-id-mismatch "
    "issuer-name-mismatch tls-intercepted"
)
NAME = "hostname-mismatch san-missing"
ADDRESS = "ip-san-missing ip-in-dns-san hostname-mismatch"
EXPIRED, FUTURE = "certificate-expired clock-wrong", "certificate-not-yet-valid clock-wrong"
LOGIN = "sas-signature-wrong sas-expired device-unknown device-disabled thumbprint-mismatch common-name-not-device-id"
CA = "not-a-ca key-usage-missing-cert-sign"
USE = "eku-missing-server-auth eku-not-nested key-usage-missing-digital-signature"
CUT_OFF = "refused-in-handshake not-tls tls-intercepted"
UNTRUSTED = "root-not-trusted self-signed-server root-same-name-different-key tls-intercepted"
