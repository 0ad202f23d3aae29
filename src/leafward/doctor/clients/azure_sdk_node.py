"""The Azure IoT device SDK for Node: Node's own TLS, its root given by `setOptions({ca})`. Whatever goes wrong with the
first connection is an `UnauthorizedError` that says "Not authorized" to begin with: it says nothing of the credential.
With x509=true it connects to HostName and drops GatewayHostName.
"""

import ipaddress

from leafward.doctor.clients.node import explained
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown

_TEXT = "UnauthorizedError: mqtt.js returned Failure on first connection (Not authorized): {} error"


def _judge(shown: Shown) -> Prediction:
    if isinstance(shown.host, ipaddress.IPv6Address):
        # It makes an address for a browser's kind of URL of it, mqtts://fd00::7, and looks for a host "fd00".
        return Prediction.refuses(_TEXT.format(f"getaddrinfo ENOTFOUND {str(shown.case.name).partition(':')[0]}"))
    said = explained(shown)
    return ACCEPTS if said is None else Prediction.refuses(_TEXT.format(said[1]))


_CLOSED = "Client network socket disconnected before secure TLS connection was established"
CLIENT = Client(
    name="azure-sdk-node", measured="azure-iot-device 1.18.4", judge=_judge, words={"closed": _TEXT.format(_CLOSED)}
)
