"""The server shows another certificate than the one in its files.

What came over the network is not what the manager holds. Leaf devices are served the old one until it ends.

Comes about: a renewal that the hub did not take up (IoT Edge before 1.2.8 hangs there); another process on the port;
another machine at the address.

See: leafward chain HOST:PORT, and the file in manager/hub-server.

Mend: operator: leafward manager rotate; restart the hub (leafward up, iotedge restart edgeHub) where it does not
follow.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "served-certificate-not-current", "device", "the server shows an older certificate", Stage.FILES, __doc__
)
