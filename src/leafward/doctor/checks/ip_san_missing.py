"""The certificate has no address as SAN.

The leaf connects by an address, and the certificate has names only. No name matches an address, whatever it resolves
to.

Comes about: the connection string has the gateway's address, because no name service knows the gateway.

See: openssl x509 -in HUB -noout -ext subjectAltName.

Mend: leaf: connect by a name of the certificate (an entry in /etc/hosts does). Operator: add the address to names in
the settings, and leafward manager rotate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("ip-san-missing", "name", __doc__, needs=("host",))
