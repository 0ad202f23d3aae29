"""The certificates are not sent in their order.

TLS 1.2 wants the sender's certificate first and after each one that which signed it. OpenSSL, Python, Node and GnuTLS
sort them; stacks that keep one certificate in memory at a time cannot.

Comes about: files were joined in the wrong order: cat root.pem intermediate.pem in place of the other way round.

See: leafward chain FILE shows the right order; openssl crl2pkcs7 -nocrl -certfile FILE | openssl pkcs7 -print_certs
-noout shows the file's.

Mend: operator: write the file anew, leaf first, then each one's issuer; the root may be left out.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("chain-out-of-order", "chain", __doc__, needs=("presented",))
