"""There is no cipher, group or signature algorithm in common.

Both speak TLS and cannot agree on how. Most servers say "handshake failure" (alert 40) and nothing else.

Comes about: a server with a short list of ciphers; a certificate whose key fits none of them (an RSA cipher with an
EC key); a curve that one side does not know (secp256k1, P-224).

See: openssl s_client -connect HOST:PORT, with -cipher and -curves; the log of the server ("no shared cipher").

Mend: operator: offer ECDHE with AES-GCM or ChaCha20, groups X25519, P-256 and P-384, and a certificate with a P-256
or RSA key.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("no-shared-cipher", "reach", "there is no cipher in common", Stage.REACH, __doc__)
