"""Nobody listens at that port.

The machine is there and refuses the connection. TLS has not begun, so no certificate is to blame.

Comes about: the hub is not running, listens on another port or on another address (--bind), or something in between
refuses for it. IoT Edge: edgeHub has no port 8883 in its createOptions.

See: ss -ltn on the gateway; run/ready.json in the home of leafward; docker ps.

Mend: operator: start the edge (leafward up, systemctl start leafward-hub), or tell the leaf devices the right port.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("port-closed", "reach", "nobody listens at the port", Stage.REACH, __doc__)
