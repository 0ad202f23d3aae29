"""Somebody between leaf and gateway opens the connection.

The certificate that is shown was made by a known interception product, and does not lead to the root that the leaf
trusts. The leaf is right to refuse.

Comes about: a company's proxy or firewall that inspects TLS; a virus scanner on the leaf; somebody who means harm.

See: compare what the leaf sees with what the gateway serves: leafward chain HOST:PORT on both; the issuer names the
product.

Mend: network: exempt the gateway's host and port from inspection. Never trust the interceptor's root on a leaf
device.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("tls-intercepted", "reach", "somebody opens the connection on its way", Stage.REACH, __doc__)
