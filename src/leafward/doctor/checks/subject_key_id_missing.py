"""A certificate does not name its own key.

A CA without a subject key identifier is refused by Python from 3.13 on ("Missing Subject Key Identifier") and by
pyca; OpenSSL accepts it. For an end-entity it is a remark.

Comes about: an openssl.cnf without subjectKeyIdentifier=hash.

See: openssl x509 -in FILE -noout -ext subjectKeyIdentifier.

Mend: maker: issue the CA again, with the same key if need be; what hangs below it may stay.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("subject-key-id-missing", "identifiers", __doc__)
