"""A CA of the chain has the hostname as its common name.

The device CA's common name should differ from the gateway's hostname: with the same name twice in a chain some
verifiers took the server's certificate for self-signed. Measured: current OpenSSL, Python, Node, GnuTLS, mbedTLS and
wolfSSL accept it where key identifiers stand or a workload CA is between, so it is a warning and never the cause.
Where it is one, the code is issuer-same-name-as-server.

Comes about: the name of the device was given to both.

See: leafward chain HOST:PORT shows the names side by side.

Mend: maker: issue the device CA under the device's name, never the hostname (leafward ca device NAME); the scripts
append .ca. Or operator: choose another hostname.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("common-name-equals-device-ca", "name", __doc__)
