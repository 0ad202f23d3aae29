"""A revocation list cannot be believed.

It is not signed by the certificate's issuer, its issuer may not sign lists, it begins in the future, or it speaks for
other certificates. It is refused and never passed over: somebody wanted the check made.

Comes about: the list of another CA of the same name, a list of a part (distribution point) of the certificates, a CA
without cRLSign.

See: openssl crl -in CRL -noout -issuer, and openssl crl -in CRL -CAfile ISSUER -noout.

Mend: get the list of this issuer: leafward ca crl.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("crl-unusable", "revocation", __doc__, needs=("crls",))
