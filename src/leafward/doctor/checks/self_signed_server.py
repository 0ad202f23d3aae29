"""The server signs for itself.

The certificate that is presented was signed by its own key, and it is not among those that the leaf trusts. OpenSSL:
"self-signed certificate" (18), Node DEPTH_ZERO_SELF_SIGNED_CERT.

Comes about: a server was started with a test certificate (openssl req -x509), or a hub did not get its certificate
from the manager and made one itself; or another program answers on that port.

See: leafward chain HOST:PORT shows one certificate whose issuer is itself.

Mend: operator: let the hub get its certificate from the manager (leafward manager rotate) and look at what listens
there (ss -ltnp). For a test that is meant: give the leaf that very certificate as root.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("self-signed-server", "chain", __doc__, needs=("anchors",))
