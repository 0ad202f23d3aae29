"""A client that names no server (no SNI) is refused or shown another certificate.

With the name in its ClientHello (RFC 6066 3) a client gets the right certificate, without it another or none. Many
small devices send no name unless they are told to.

Comes about: several names on one port, and the default certificate is not the one of the gateway.

See: openssl s_client -connect HOST:PORT -noservername.

Mend: operator: make the certificate of the gateway the default one. Leaf: let the TLS library send the name
(mbedtls_ssl_set_hostname, wolfSSL_UseSNI).
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "server-needs-sni", "reach", "a client that names no server is shown something else", Stage.REACH, __doc__
)
