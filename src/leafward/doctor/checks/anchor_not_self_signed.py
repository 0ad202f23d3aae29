"""The path ends at a trusted certificate that is no root.

The leaf trusts an intermediate of this chain, and other roots, but not this chain's root. OpenSSL, and with it
Python, Node and the Azure SDKs, ends a path at a self-signed certificate only (no partial chains): "unable to get
issuer certificate" (2).

Comes about: the device CA or the intermediate was copied to the leaf in place of the root.

See: openssl x509 -in FILE -noout -subject -issuer: a root has the same name twice.

Mend: leaf: add the root of the chain to its trusted certificates.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("anchor-not-self-signed", "chain", __doc__, needs=("anchors",))
