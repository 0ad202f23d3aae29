"""The server insists on a client certificate, and none was shown.

In TLS 1.2 the handshake fails (alert 40, "handshake failure"). In TLS 1.3 the handshake seems good to the client, and
the alert "certificate required" (116) comes when it first reads: software that writes first loses what it wrote.

Comes about: a broker with require_certificate; a hub behind a proxy that asks for certificates; a leaf that was given
a connection string with x509=true and no certificate files.

See: openssl s_client -connect HOST:PORT says "Acceptable client certificate CA names"; with -cert and -key it gets
further.

Mend: leaf: present the certificate with its chain and key. Operator: a hub that takes SAS tokens too must ask without
insisting, as the hub of leafward and edgeHub do.
"""

from leafward.doctor.noted import AFTER_THE_CHAIN, noted_check

CHECK = noted_check(
    "client-certificate-required", "reach", "the server insists on a client certificate", AFTER_THE_CHAIN, __doc__
)
