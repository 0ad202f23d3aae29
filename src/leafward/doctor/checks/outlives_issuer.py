"""A certificate ends after its issuer.

No verifier compares the two dates. But the chain breaks on the day the issuer ends, weeks or years before anybody
looks at the certificate below.

Comes about: a CA that is near its end signed for its usual lifetime: openssl ca and the convenience scripts do not
look. IoT Edge and leafward cap the end by the issuer's.

See: openssl x509 -in FILE -noout -enddate for both.

Mend: renew the issuer first (maker: leafward ca intermediate, leafward ca device; operator: leafward manager rotate),
then what hangs below it.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("outlives-issuer", "time", __doc__)
