"""A certificate of the chain is not valid yet.

The leaf's clock shows a time before the certificate's notBefore: "certificate is not yet valid" (9). Where every
certificate of the chain begins later, it is the clock: see clock-wrong.

Comes about: a clock is behind: the leaf's, after a start without a battery and before it asked for the time; or the
issuer's was ahead when it signed. IoT Edge's daemon does not back-date, so a minute of difference is enough for a
certificate that was made just now; leafward back-dates by an hour.

See: openssl x509 -in FILE -noout -startdate against date -u on the leaf and on the gateway.

Mend: leaf: set the clock (timedatectl set-ntp true) before connecting. Operator: if the issuer's clock was ahead, set
it and run leafward manager rotate.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("certificate-not-yet-valid", "time", __doc__)
