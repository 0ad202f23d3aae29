"""A CA's extended key usage does not allow the use below it.

RFC 5280 gives an extended key usage in a CA no meaning; TLS stacks read it as a limit on what the CA may issue for,
so that a server below a CA with clientAuth alone is refused (OpenSSL 26, "unsuitable certificate purpose").

Comes about: the CA was issued from an end-entity's profile, or fenced to one use on purpose.

See: openssl x509 -in CA -noout -ext extendedKeyUsage for each CA.

Mend: maker: issue the CA without an extended key usage, or with both: leafward ca device, leafward ca intermediate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("eku-not-nested", "CA", __doc__)
