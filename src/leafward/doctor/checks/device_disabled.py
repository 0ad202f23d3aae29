"""The device is registered and disabled.

An operator has switched it off; every login is refused until it is enabled again.

Comes about: leafward device disable, or a provisioning service that retired the device.

See: leafward device show ID.

Mend: operator: leafward device enable ID.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("device-disabled", "settings", "the device is disabled", Stage.SETTINGS, __doc__)
