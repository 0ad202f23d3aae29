"""A socket of the manager or the hub is not there, or not for this user.

Modules and commands talk to the daemons through unix sockets; whoever may not open them is refused before any
certificate counts.

Comes about: run as another user; a folder above without x for others; a daemon that is not running.

See: ls -l run/; namei -l run/workload.sock.

Mend: operator: start the daemon, or run the command as its user (sudo -u).
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("socket-permission", "device", "a socket cannot be used", Stage.FILES, __doc__)
