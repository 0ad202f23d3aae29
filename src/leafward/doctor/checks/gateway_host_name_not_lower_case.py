"""GatewayHostName has capital letters.

TLS compares names without case, so this alone breaks no handshake in the stacks that were measured. DNS servers,
hosts files and a few SDKs do compare case, and IoT Edge's own check refuses it.

Comes about: the name of a Windows machine, or a configuration copied by hand.

See: the connection string itself; iotedge check.

Mend: leaf: write it in lower case. Operator: give the gateway a lower-case hostname.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "gateway-host-name-not-lower-case", "settings", "GatewayHostName has capitals", Stage.SETTINGS, __doc__
)
