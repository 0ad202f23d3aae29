"""The gateway has no device CA, so it can serve nobody.

Nothing is at the place that the settings name, or in manager/device-ca. In production none is made for development.

Comes about: a gateway that was not provisioned by its maker yet; an enrolment that has not come through; a path that
moved.

See: leafward manager check-config; ls manager/device-ca.

Mend: maker: leafward ca device makes one. Operator: put certificate and key in place, or leafward up for development.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("device-ca-missing", "device", "the gateway has no device CA", Stage.FILES, __doc__)
