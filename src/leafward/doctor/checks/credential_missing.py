"""There is nothing to prove who the device is.

The connection string has neither a SharedAccessKey nor x509=true; or it says x509=true and no certificate and key are
at hand.

Comes about: a string that was shortened before it was shown to somebody; a device that is registered for X.509 and
was given no files.

See: leafward device show ID on the gateway says how the device is registered.

Mend: leaf: put the key back in, or give the SDK the certificate and key files (create_from_x509_certificate in
Python, setOptions({cert, key}) in Node).
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("credential-missing", "settings", "there is no credential", Stage.SETTINGS, __doc__)
