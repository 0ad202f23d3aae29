"""A signature does not verify.

Names and key identifiers fit, and yet the issuer's key did not make this signature: the certificate was altered or
damaged, or forged. OpenSSL: "certificate signature failure" (7), Node CERT_SIGNATURE_FAILURE.

Comes about: a file was damaged on disk or edited; two hierarchies with the same names and no key identifiers were
mixed.

See: openssl verify -partial_chain -trusted ISSUER CERTIFICATE; compare the fingerprint with the issuer's records
(leafward ca show).

Mend: copy the certificate again from where it was issued; if it stays so, issue it again, and ask how it came there.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("signature-invalid", "identifiers", __doc__)
