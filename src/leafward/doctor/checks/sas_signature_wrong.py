"""The shared access signature is not good for this device.

It was made with another key, for another resource (host, device id), or is malformed. A hub refuses the login
(CONNACK 5, HTTP 401).

Comes about: the key of another device, or an old one after the keys were made anew; a token for the host name of
another hub; a device id in another case or spelling.

See: leafward doctor TOKEN --connection-string S compares the two; leafward hub failures on the gateway.

Mend: leaf: take key and names from leafward device show ID --secrets.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "sas-signature-wrong", "settings", "the shared access signature does not verify", Stage.SETTINGS, __doc__
)
