"""The device is not registered on this gateway.

The registry in the home has no identity of exactly this id; ids count with their case.

Comes about: registered on another gateway or only in the cloud; removed; a difference in case; a module id without
its device.

See: leafward device list.

Mend: operator: leafward device add ID, and give the leaf what it prints.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("device-unknown", "settings", "the device is not registered", Stage.SETTINGS, __doc__)
