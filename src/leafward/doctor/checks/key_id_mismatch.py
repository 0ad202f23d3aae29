"""The key identifiers of a certificate and its issuer differ.

The certificate says that a key with one identifier signed it, the CA at hand has another. OpenSSL does not take that
CA for the issuer, even where its key made the signature: "unable to get local issuer certificate" (20).

Comes about: a CA was made anew under the same name, and an older certificate hangs below the new one in the file; or
a tool wrote the identifier of another certificate.

See: openssl x509 -in CHILD -noout -ext authorityKeyIdentifier against -ext subjectKeyIdentifier of the CA; the
evidence says whether the signature holds.

Mend: put the CA that signed it into the chain, or have the certificate issued again by the one that is there.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("key-id-mismatch", "identifiers", __doc__)
