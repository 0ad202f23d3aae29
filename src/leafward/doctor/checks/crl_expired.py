"""A revocation list is out of date.

After its nextUpdate a list says nothing about today; who asked for revocation to be checked is refused (OpenSSL 12).

Comes about: the maker's publication stopped (leafward ca serve is off), or the copy is an old one.

See: openssl crl -in CRL -noout -lastupdate -nextupdate.

Mend: get a fresh list from the issuer; maker: leafward ca crl.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("crl-expired", "revocation", __doc__, needs=("crls",))
