"""A certificate is revoked.

Its issuer's list says that it is not to be trusted any more, since when and why. Clients look only where they are
given lists and told to (openssl verify -crl_check: 23); the list was given, so it counts.

Comes about: the device was sold and wiped (the device CA retires the operator's workload CA), a key was lost, or the
maker revoked the device.

See: leafward ca show, openssl crl -in CRL -noout -text; the evidence has the date and the reason.

Mend: replace the certificate: leafward manager rotate for what the operator holds, the maker for a device CA
(leafward ca device).
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("certificate-revoked", "revocation", __doc__, needs=("crls",))
