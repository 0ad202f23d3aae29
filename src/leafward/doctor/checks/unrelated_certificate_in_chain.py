"""A certificate is sent that has nothing to do with the chain.

Everything after the leaf's certificate should help to reach the root. What does not costs bytes at every connection;
OpenSSL, Python, Node and GnuTLS pass over it, stacks that verify each certificate as it arrives refuse it.

Comes about: the old intermediate stayed in the file beside the new one, or the chain of another server was appended.

See: leafward doctor marks it; compare each subject with the issuer of the one before it.

Mend: operator: take it out of the chain file. A hub of leafward sends what device_ca_certificate has: mend that file.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("unrelated-certificate-in-chain", "chain", __doc__, needs=("presented",))
