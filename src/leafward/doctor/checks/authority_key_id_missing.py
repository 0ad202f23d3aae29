"""A certificate does not name its issuer's key.

The authority key identifier says which key of an issuer signed. Without it OpenSSL goes by names alone; Python from
3.13 on verifies strictly and refuses ("Missing Authority Key Identifier"), so does pyca.

Comes about: an openssl.cnf without authorityKeyIdentifier; certificates of the first IoT Edge versions.

See: openssl x509 -in FILE -noout -ext authorityKeyIdentifier.

Mend: whoever issued it: issue it again; leafward writes it everywhere.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("authority-key-id-missing", "identifiers", __doc__)
