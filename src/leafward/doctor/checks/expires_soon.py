"""A certificate ends soon.

Less than a fifth of its lifetime is left (at most thirty days for an end-entity, ninety for a CA; always within two
days of the end). A manager renews at 80 % of the lifetime and tries again each 4 %, so that the renewal of this one
did not work, or nobody does it.

Comes about: the manager is off or its device CA ends first; a certificate from a file is renewed by nobody; IoT
Edge's quickstart CA ends after ninety days.

See: leafward manager status shows what is due and why the last try failed; openssl x509 -in FILE -noout -enddate.

Mend: operator: leafward manager rotate. Maker: have a new device CA ready before the old one ends; with an EST server
the manager fetches it itself.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("expires-soon", "time", __doc__)
