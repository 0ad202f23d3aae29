"""A key is of an unusual kind.

Some client will not know it: brainpool and secp256k1 curves, Ed448, DSA, RSA of an odd size. OpenSSL reads them in a
certificate; whether a handshake comes about with them is another matter, and on a server's key it often does not.

Comes about: the PowerShell scripts of IoT Edge use secp256k1 for ECC.

See: leafward chain FILE names each key.

Mend: make a key of the kind ec-p256, and a new certificate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("unsupported-algorithm", "strength", __doc__)
