"""A common name is longer than 64 characters.

The standard allows 64. OpenSSL reads longer ones; GnuTLS, Java and others may refuse the certificate, and most tools
refuse to make it.

Comes about: a long hostname was put into the common name.

See: openssl x509 -in FILE -noout -subject.

Mend: leave the common name out and put the name into the SAN alone, as leafward does for hostnames of that length.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("common-name-too-long", "name", __doc__)
