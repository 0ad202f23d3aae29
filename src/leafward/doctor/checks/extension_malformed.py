"""An extension cannot be read.

An extension does not decode, or is there twice. What it would have said cannot be known, so it is refused: OpenSSL
gives up on the certificate.

Comes about: the certificate was made by hand or by a faulty tool.

See: openssl x509 -in FILE -noout -text, openssl asn1parse -in FILE.

Mend: whoever issued it: make the certificate again with another tool: leafward ca sign.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("extension-malformed", "CA", __doc__)
