"""The private key does not belong to the certificate.

The public half of the key is not the one in the certificate. A server cannot even start with the two (OpenSSL: "key
values mismatch"), a leaf cannot prove itself.

Comes about: the certificate was renewed with a new key and only one of the two files was copied; the key of a CA lies
beside the server's certificate.

See: openssl pkey -in KEY -pubout against openssl x509 -in CERT -noout -pubkey.

Mend: put the fitting key beside the certificate, or make both anew: leafward manager rotate, leafward ca device.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("key-mismatch", "files", __doc__, needs=("key",))
