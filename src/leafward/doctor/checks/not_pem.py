"""The file is neither PEM nor DER nor PKCS#12.

The bytes are something else: text, base64 without its BEGIN and END lines, PEM that is indented or in UTF-16, which
OpenSSL reads as nothing.

Comes about: a certificate was pasted out of a web page or a YAML file; an editor saved as "Unicode"; the wrong file
was named.

See: head -1 FILE shows -----BEGIN CERTIFICATE----- at the margin for PEM; openssl x509 -in FILE -noout -subject.

Mend: copy the file again from where it was made, or add what is missing.
"""

from leafward.doctor.check import file_check

CHECK = file_check("not-pem", "a file holds no certificate in any known form", __doc__)
