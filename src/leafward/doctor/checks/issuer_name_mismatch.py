"""The issuer that is named is not the CA that signed.

The issuer's name in the certificate is not the subject of the CA whose key made the signature. Clients look for
issuers by name and find none (OpenSSL 20). Names that differ in case, blanks or string type only pass OpenSSL, and
not pyca.

Comes about: the CA's certificate was issued again under another name with the same key; a name was written as
PrintableString in one place and UTF8String in another.

See: openssl x509 -in CHILD -noout -issuer -nameopt multiline,show_type against -subject of the CA.

Mend: have the certificate issued again, or present the CA certificate that has the name.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("issuer-name-mismatch", "identifiers", __doc__)
