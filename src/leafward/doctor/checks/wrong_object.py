"""The file is well-formed, and holds another kind of object than belongs here.

A private key where a certificate belongs, a request (CSR) where the signed certificate belongs, a certificate where a
revocation list belongs, a public key, an OpenSSH key.

Comes about: key and certificate were swapped in the settings; the CA's answer to a request was never saved, and the
request was named in its place.

See: head -1 FILE names the kind of a PEM file.

Mend: name the file that holds what is asked for; a request goes to the CA: leafward ca sign REQUEST.
"""

from leafward.doctor.check import file_check

CHECK = file_check("wrong-object", "a file holds another kind of object", __doc__)
