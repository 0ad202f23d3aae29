"""The workload CA was not signed by the device CA that is in place.

The device CA was replaced, and the workload CA below the old one is still there. The chain that is served does not
fit.

Comes about: a new device CA while the manager was off; files restored from a copy.

See: leafward chain on both files; openssl verify -partial_chain -trusted DEVICE_CA WORKLOAD_CA.

Mend: operator: start the manager, which makes a new workload CA (leafward manager rotate). IoT Edge: iotedge system
restart.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "workload-ca-not-from-device-ca", "device", "the workload CA is not signed by the device CA", Stage.FILES, __doc__
)
