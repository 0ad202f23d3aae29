"""The handshake is refused, whatever the chain is like on paper.

The server said no, in an alert or by hanging up, before or right after the handshake was done. The evidence has its
words; often only its own log says more.

Comes about: a client certificate that the server does not like; a name that it does not serve; ALPN that it insists
on; a load balancer without a server behind it; a key that the security level of one side forbids (RSA with 1024 bits
at level 2).

See: openssl s_client -connect HOST:PORT -servername NAME -msg; the server's log; leafward hub failures.

Mend: operator: what the log of the server says. Leaf: show the chain that the server asks for.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("refused-in-handshake", "reach", "the handshake is refused", Stage.REACH, __doc__)
