"""A certificate is sent more than once.

No stack minds, but each copy is sent again at every connection, and a small device has to hold it.

Comes about: the chain file was put together of parts that hold the intermediate already: cat fullchain.pem
intermediate.pem.

See: grep -c BEGIN FILE counts the certificates; leafward chain FILE shows the different ones.

Mend: operator: take the second copy out.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("duplicate-certificate", "chain", __doc__, needs=("presented",))
