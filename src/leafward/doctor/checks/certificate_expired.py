"""A certificate of the chain has ended.

The leaf's clock shows a time after the certificate's notAfter. OpenSSL looks from the root down, so an ended root is
met before an ended server: "certificate has expired" (10), Node CERT_HAS_EXPIRED.

Comes about: the renewal did not run (a manager that was off, a device CA that cannot sign any more), or it ran and
the server still presents the old certificate; or a clock is wrong: the leaf's, ahead.

See: openssl x509 -in FILE -noout -enddate; date -u; on a gateway leafward manager status.

Mend: operator: leafward manager rotate renews the workload CA and the hub's certificate. Maker: an ended device CA or
intermediate is issued again (leafward ca device, leafward ca intermediate); what hangs below it is then issued anew.
Leaf: an ended root is replaced by its successor.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("certificate-expired", "time", __doc__)
