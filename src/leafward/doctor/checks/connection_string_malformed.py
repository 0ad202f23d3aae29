"""The connection string cannot be read.

It is not HostName=…;DeviceId=…;SharedAccessKey=…;GatewayHostName=…, so the SDK stops before it connects: Python says
"Connection string is required and should not be empty or whitespace" or "Invalid Connection String", Node
ArgumentError.

Comes about: a part that was cut off in copying; a shell that took the ';' for its own (quote it); a service's string
(iothubowner) in place of the device's; names of fields in another case.

See: print it in quotes and compare it with what leafward device show ID --secrets --json says.

Mend: leaf: copy it again, whole and in quotes: leafward device show ID --secrets prints it on the gateway.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check(
    "connection-string-malformed", "settings", "the connection string is malformed", Stage.SETTINGS, __doc__
)
