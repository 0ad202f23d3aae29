"""The leaf does not send the CAs between its certificate and the root.

The server cannot build a path from the client certificate to a root that it trusts, because what stands between was
not sent. Azure says 401002 or "none of the intermediate CAs were found".

Comes about: a file with the device certificate alone, where the SDK wants the chain in one file, leaf first.

See: leafward chain FILE; openssl crl2pkcs7 -nocrl -certfile FILE | openssl pkcs7 -print_certs -noout.

Mend: leaf: cat DEVICE INTERMEDIATE… > CHAIN, and give the SDK that file.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "client-chain-incomplete", "settings", "the leaf does not send its whole chain", Stage.SETTINGS, __doc__
)
