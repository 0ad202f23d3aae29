"""A key is too short.

RSA below 2,048 bits and curves below 224 bits have less than 112 bits of strength. OpenSSL at security level 2, the
default of Debian and Ubuntu, refuses them: "EE certificate key too weak" (66), "CA certificate key too weak" (67).
P-224 is a warning.

Comes about: an old CA, or a device that could not do more.

See: leafward chain FILE names each key; openssl x509 -in FILE -noout -text.

Mend: make a new key of the kind ec-p256 (or rsa-3072), and a new certificate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("weak-key", "strength", __doc__)
