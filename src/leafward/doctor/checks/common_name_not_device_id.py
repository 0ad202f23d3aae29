"""The common name of the client certificate is not the device's id.

With X.509 by a CA the common name is the identity: IoT Hub, DPS and the hub of leafward compare it with the device
id, with case.

Comes about: a certificate named after the machine or the serial number; a certificate of another device; a difference
in case.

See: openssl x509 -in CERTIFICATE -noout -subject, and DeviceId in the connection string.

Mend: maker: issue the certificate for the id: leafward ca leaf ID. Leaf: connect as the id that the certificate has.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "common-name-not-device-id", "settings", "the common name is not the device id", Stage.SETTINGS, __doc__
)
