"""The certificate is not for clients.

A leaf device proves itself with a certificate whose extended key usage, where it has one, names clientAuth. The hub
refuses others, as OpenSSL does (26).

Comes about: a server's certificate was given to the leaf; the template has serverAuth only.

See: openssl x509 -in LEAF -noout -ext extendedKeyUsage.

Mend: maker or operator: issue a leaf's certificate: leafward ca leaf DEVICE_ID, or leafward device add ID --auth
x509-ca.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("eku-missing-client-auth", "CA", __doc__)
