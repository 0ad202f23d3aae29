"""The basicConstraints of a CA are not critical.

RFC 5280 wants them critical. OpenSSL and Node do not look; pyca, and with it our own verify, refuse.

Comes about: a CA made by an old script or a home-made openssl.cnf without "critical".

See: openssl x509 -in CA -noout -ext basicConstraints shows "critical" where it is.

Mend: maker: issue the CA certificate again, with the same key if need be: leafward ca sign.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("basic-constraints-not-critical", "CA", __doc__)
