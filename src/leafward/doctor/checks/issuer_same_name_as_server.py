"""The server certificate and its issuer have the same name.

Verifiers decide by names and key identifiers whether a certificate signed itself. Where the CA has the server's whole
name, and no key identifier tells the two apart, OpenSSL, Python and Node take the server for self-signed (error 18)
although a CA signed it; GnuTLS accepts it. With key identifiers it is a warning.

Comes about: the device CA was made with the gateway's hostname as its common name, and signs the hub's certificate
directly (the layout of IoT Edge 1.2 and later).

See: openssl x509 -in HUB -noout -subject -issuer shows one name twice, while openssl verify -CAfile HUB HUB does not
hold.

Mend: maker: issue the device CA again under a name that is no hostname: leafward ca device NAME. Then leafward
manager rotate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("issuer-same-name-as-server", "chain", __doc__)
