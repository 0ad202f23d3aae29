"""A name lies outside of what a CA may certify.

A CA above has nameConstraints, and a name of the certificate (a DNS name, an address, a subject) is not among those
permitted, or is excluded. OpenSSL looks at this last: "permitted subtree violation" (47), "excluded subtree
violation" (48).

Comes about: the maker fenced the device CA to its own domain, and the gateway got a hostname outside of it.

See: openssl x509 -in CA -noout -ext nameConstraints against the SAN of the hub.

Mend: operator: choose a hostname inside of the constraints. Maker: issue the CA with wider ones (leafward ca device
--permit).
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("name-constraint-violated", "CA", __doc__)
