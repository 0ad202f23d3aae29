"""The address stands in the SAN as a DNS name.

An address is compared with iPAddress entries alone. One that is written into a dNSName is text that no client
compares with: Python and Node say "IP address mismatch", OpenSSL 64.

Comes about: the tool made every name a DNS name: IoT Edge 1.0 and 1.1 always do, even where the hostname is an
address.

See: openssl x509 -in HUB -noout -ext subjectAltName shows DNS:192.0.2.1 where IP Address:192.0.2.1 belongs.

Mend: operator: leafward manager rotate makes it an iPAddress. IoT Edge before 1.2: give the gateway a name, and let
the leaf use it.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("ip-in-dns-san", "name", __doc__, needs=("host",))
