"""The server does not answer in time.

Packets go out and nothing comes back; or the connection stands and then nothing is said. The evidence names the step:
connect, handshake, or after it.

Comes about: a firewall that drops packets; a gateway that is off or in another network; an address of an earlier
lease; at a later step, a server that hangs or a port that waits for another protocol.

See: ping HOST; nc -vz HOST PORT; tcpdump port PORT on the gateway shows whether packets arrive.

Mend: network: let the port through. Operator: see that the gateway is up; restart the hub where it accepts and says
nothing.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("connect-timeout", "reach", "the server does not answer in time", Stage.REACH, __doc__)
