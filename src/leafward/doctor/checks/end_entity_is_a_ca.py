"""The peer's own certificate is a CA certificate.

Whoever holds the key of such a server could issue certificates for any name below it. OpenSSL accepts it; pyca,
browsers and our own verify refuse.

Comes about: openssl req -x509 makes CA:TRUE unless told otherwise; a device CA was used for the server itself.

See: openssl x509 -in HUB -noout -ext basicConstraints,keyUsage.

Mend: operator: give the server a certificate of its own: leafward manager rotate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("end-entity-is-a-ca", "CA", __doc__)
