"""The device CA ends soon.

When it ends, the whole chain below it ends with it, and the manager cannot renew past it.

Comes about: quickstart CAs of IoT Edge live 30 or 90 days; a maker that issued a short one.

See: leafward manager status ("safe offline until").

Mend: maker: leafward ca device makes a new one. Operator: put it in place; the manager takes it up without a restart
of the leaf devices.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("device-ca-expiring", "device", "the device CA ends soon", Stage.FILES, __doc__)
