"""A file was cut off or damaged.

A block has no END line, or an END without a BEGIN, or characters between them that are no base64; a DER file is
shorter than it says. OpenSSL stops there: "bad end line", "bad base64 decode".

Comes about: a full disk, a copy that broke off, a paste that lost its first or last line, files joined without a line
end between them (-----END…----------BEGIN…).

See: the line in the evidence; openssl x509 -in FILE -noout says what it makes of it.

Mend: copy the file again from where it was made; join files with a line end between them.
"""

from leafward.doctor.check import file_check

CHECK = file_check("truncated-pem", "a file was cut off or damaged", __doc__)
