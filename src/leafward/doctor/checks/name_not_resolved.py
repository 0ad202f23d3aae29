"""The name of the server has no address.

The leaf asks the resolver before anything else, and gets no address. No packet was sent to the gateway. Python says
"[Errno -2] Name or service not known", Node "getaddrinfo ENOTFOUND", Java UnknownHostException.

Comes about: the gateway is in no DNS that the leaf asks; a name in .local without mDNS (avahi) on one side; a
misspelt GatewayHostName; a leaf in another network.

See: getent hosts NAME on the leaf; ping NAME; dig NAME.

Mend: network: write the name in the DNS, or in /etc/hosts of each leaf. Operator: choose a hostname that the leaf
devices can resolve, and issue the certificate for it (leafward up --hostname).
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("name-not-resolved", "reach", "the name has no address", Stage.REACH, __doc__)
