"""The chain ends at a root that the leaf does not trust.

The certificates lead up to a root, and that root is not among the leaf's trusted certificates. Every stack refuses;
OpenSSL says "self-signed certificate in certificate chain" (19) where the root is presented and "unable to get local
issuer certificate" (20) where it is not.

Comes about: the leaf was given the root of another maker, of another gateway, or none, and then looks into the
system's store, where private roots are not. Or the gateway got a new device CA under another root.

See: compare the issuer of the last certificate with what the leaf has: leafward chain HOST:PORT, and openssl x509 -in
ROOT -noout -subject -fingerprint -sha256.

Mend: leaf: give it the root (server_verification_cert in the SDK for Python, setOptions({ca}) in that for Node); the
maker hands it out, and on a gateway of leafward it is trust/root.pem in the home. Never take it from the connection
that it is to prove.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("root-not-trusted", "chain", __doc__, needs=("anchors",))
