"""The certificate is not for servers.

It has an extended key usage, and serverAuth is not in it. OpenSSL: "unsuitable certificate purpose" (26), Node
INVALID_PURPOSE. Without the extension every use is allowed.

Comes about: a device's client certificate was put on a server; the template has clientAuth only.

See: openssl x509 -in HUB -noout -ext extendedKeyUsage.

Mend: operator: let the hub use its own certificate: leafward manager rotate. The identity of a device is never a
server's.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("eku-missing-server-auth", "CA", __doc__)
