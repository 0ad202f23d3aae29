"""Nothing in the file given as root is self-signed.

A path ends at a self-signed root. What was given as trusted holds intermediates or end-entities only, and OpenSSL,
Python, Node and the Azure SDKs use no partial chains: "unable to get issuer certificate" (2).

Comes about: the device CA's or the hub's certificate was copied to the leaf in place of the root.

See: openssl x509 -in FILE -noout -subject -issuer: a root has the same name twice.

Mend: leaf: use the maker's root; on a gateway of leafward it is trust/root.pem in the home.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("root-file-is-not-root", "files", __doc__, needs=("anchors",))
