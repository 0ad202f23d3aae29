"""The key may not sign a handshake.

In TLS 1.3, and in TLS 1.2 with ECDHE, the peer signs with its key; a key usage without digitalSignature forbids it.
OpenSSL's path check is content with keyEncipherment or keyAgreement for a server, and refuses where none of them is
there (26).

Comes about: the certificate was issued from a CA's profile, or for encryption only.

See: openssl x509 -in HUB -noout -ext keyUsage.

Mend: issue the certificate again: leafward manager rotate for the hub, leafward ca leaf for a leaf device.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("key-usage-missing-digital-signature", "CA", __doc__)
