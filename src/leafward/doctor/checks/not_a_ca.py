"""A certificate that signed another is no CA.

A signing certificate says basicConstraints CA:TRUE. One that does not could be anybody's server certificate, so every
stack refuses what it signed: OpenSSL "invalid CA certificate" (24, 79), Node INVALID_CA. A root of version 1, or
without the extension and with keyCertSign, passes OpenSSL and is a warning.

Comes about: the device CA was issued as a device certificate (create_device_certificate in place of
create_edge_device_certificate, usr_cert in place of v3_intermediate_ca); a CA of the early security daemons had no
extensions.

See: openssl x509 -in CA -noout -ext basicConstraints.

Mend: maker: issue it again as a CA: leafward ca device, leafward ca intermediate. What it signed is then issued anew:
leafward manager rotate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("not-a-ca", "CA", __doc__)
