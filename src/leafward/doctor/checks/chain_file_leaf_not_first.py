"""The chain file does not begin with its own certificate.

A server takes the first certificate of its file for its own. Where that is a CA's, the key does not fit it, and the
server does not start; or clients are shown a CA in place of the server.

Comes about: the files were joined the wrong way round: cat root.pem device-ca.pem hub.pem.

See: openssl x509 -in FILE -noout -subject shows the first certificate of the file.

Mend: write the file anew, its own certificate first, then the one that signed it, and so on: cat LEAF CA … > CHAIN.
"""

from leafward.doctor.check import file_check

CHECK = file_check("chain-file-leaf-not-first", "the chain file does not begin with the leaf", __doc__)
