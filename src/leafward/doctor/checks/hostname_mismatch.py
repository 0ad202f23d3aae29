"""The certificate is for another name.

The name that the leaf connects by is not among the subject alternative names of the certificate. A name is compared
with dNSNames, an address with iPAddresses; the common name counts only where there is no DNS name at all. OpenSSL: 62
(64 for an address), Node ERR_TLS_CERT_ALTNAME_INVALID, Python "Hostname mismatch".

Comes about: the leaf uses a short name, an address or an alias; the gateway was renamed and its certificate was not;
GatewayHostName in the connection string is not the hostname in the gateway's settings.

See: openssl x509 -in HUB -noout -ext subjectAltName, against GatewayHostName (or HostName) of the leaf.

Mend: leaf: connect by a name the certificate has. Operator: set hostname (or names, for further ones) in
leafward.toml; leafward manager rotate issues the certificate anew.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("hostname-mismatch", "name", __doc__, needs=("host",))
