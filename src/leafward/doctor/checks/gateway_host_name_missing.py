"""The leaf goes past the gateway: GatewayHostName is missing.

Without GatewayHostName the SDKs connect to HostName itself. A leaf behind a gateway then looks for the cloud, with a
root that does not fit, or finds nothing.

Comes about: the connection string was copied from the portal, which does not know the gateway.

See: look for GatewayHostName in the string; tcpdump on the leaf shows where it connects.

Mend: leaf: append ;GatewayHostName=NAME with the hostname of the gateway. With x509=true Node's SDK ignores it: there
HostName is the gateway.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("gateway-host-name-missing", "settings", "the leaf goes past the gateway", Stage.SETTINGS, __doc__)
