"""Two certificates of one issuer have the same serial number.

Issuer and serial number name a certificate in revocation lists and in some stores: NSS refuses the second one that it
meets. OpenSSL does not look.

Comes about: a CA that starts its count anew (the convenience scripts begin at 1000 each time they are run); IoT Edge
from 1.2 on, where every number is 0.

See: openssl x509 -in FILE -noout -issuer -serial for each.

Mend: whoever issued them: issue one of them again.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("duplicate-serial", "identifiers", __doc__)
