"""The client certificate is not the one that is registered.

The device is registered by a thumbprint, and neither the SHA-1 nor the SHA-256 fingerprint of its certificate is
that.

Comes about: the certificate was made anew and the registration was not; SHA-1 taken where SHA-256 was meant; the
thumbprint of the CA in place of that of the device.

See: openssl x509 -in CERTIFICATE -noout -fingerprint -sha256; leafward device show ID.

Mend: operator: register the new thumbprint (leafward device remove ID, device add ID --auth x509-thumbprint).
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "thumbprint-mismatch", "settings", "the certificate is not the registered one", Stage.SETTINGS, __doc__
)
