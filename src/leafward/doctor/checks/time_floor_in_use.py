"""The gateway's clock is behind what it knows, and is not believed.

The manager counts on from the newest time that it knows. Leaf devices with a right clock may find certificates not
yet valid, or expired.

Comes about: no battery behind the clock and no time server after a power cut.

See: leafward manager status; timedatectl.

Mend: operator: timedatectl set-ntp true, or give the gateway a clock with a battery.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("time-floor-in-use", "device", "the clock of the gateway is not believed", Stage.FILES, __doc__)
