"""A serial number is out of bounds.

It should be positive and have at most 20 octets. OpenSSL takes anything; GnuTLS, Go and pyca refuse some or all of
the others.

Comes about: IoT Edge from 1.2 on never sets it, so that it is 0; a tool wrote a random number with its first bit set,
which makes it negative.

See: openssl x509 -in FILE -noout -serial.

Mend: whoever issued it: issue it again; leafward draws 20 random octets.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("serial-invalid", "identifiers", __doc__)
