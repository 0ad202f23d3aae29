"""A private key, or a PKCS#12 file, is encrypted, and no password opens it.

A service that starts by itself has nobody to ask for a password. And what cannot be opened cannot be compared with
its certificate.

Comes about: the key was made with a password (openssl genrsa -aes256, the scripts' root and intermediate: 1234).

See: head -1 KEY says ENCRYPTED, or the second line has Proc-Type: 4,ENCRYPTED.

Mend: give the password in a file of mode 0600 (--passphrase-file FILE) or in LEAFWARD_PASSPHRASE; or write a plain
key, mode 0600: openssl pkey -in KEY -out PLAIN.
"""

from leafward.doctor.check import file_check

CHECK = file_check("key-encrypted", "a private key cannot be opened", __doc__)
