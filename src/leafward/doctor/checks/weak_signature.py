"""A signature is made with a broken hash.

SHA-1 and MD5 signatures can be forged. OpenSSL at Debian's security level 2 refuses them ("CA signature digest
algorithm too weak", 68); a root's own signature is not looked at.

Comes about: an openssl.cnf with default_md = sha1; a CA from before 2016.

See: openssl x509 -in FILE -noout -text | grep 'Signature Algorithm'.

Mend: whoever issued it: issue it again, with SHA-256. The CA's key may stay.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("weak-signature", "strength", __doc__)
