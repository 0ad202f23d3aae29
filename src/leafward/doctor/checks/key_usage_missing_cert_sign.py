"""A CA may not sign certificates.

The key usage of a CA has to name keyCertSign. Where the extension is there without it, OpenSSL refuses ("invalid CA
certificate", 24 or 79); where there is none at all, OpenSSL accepts it and stricter stacks refuse.

Comes about: the CA was issued from a server's profile; a home-made openssl.cnf lists digitalSignature alone.

See: openssl x509 -in CA -noout -ext keyUsage shows "Certificate Sign" where it is.

Mend: maker: issue the CA certificate again: leafward ca device, leafward ca intermediate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("key-usage-missing-cert-sign", "CA", __doc__)
