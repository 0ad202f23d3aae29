"""The hostname in the settings is not this machine's name.

Leaf devices connect by the hostname in the settings; where it is not what the machine calls itself, make sure that it
resolves to it. IoT Edge insists that the two agree.

Comes about: a machine that was cloned or renamed; a name for the outside that differs on purpose.

See: hostname; hostname -f; getent hosts NAME.

Mend: operator: set device.hostname in leafward.toml (hostname in config.toml), or name the machine so.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "hostname-not-machine-name", "device", "the gateway's hostname is not this machine's", Stage.FILES, __doc__
)
