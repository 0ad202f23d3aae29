"""A certificate policy is not one of the issuer's.

A policy counts along a path only where every CA names it. Verifiers look only where they are asked to (openssl verify
-policy_check), so it is a warning.

Comes about: the template below was given a policy that the CA above was not.

See: openssl x509 -in FILE -noout -ext certificatePolicies for each level.

Mend: maker: issue the CA with the policy (--policy), or the certificate without it.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("policy-not-nested", "CA", __doc__)
