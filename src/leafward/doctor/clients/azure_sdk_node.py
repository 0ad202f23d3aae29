"""The Azure IoT device SDK for Node: Node's own TLS, its root given by `setOptions({ca})`; the error comes inside of a
`NotConnectedError`. With x509=true it connects to HostName and drops GatewayHostName.
"""

from leafward.doctor.clients.node import judge
from leafward.doctor.clients.prediction import Client

CLIENT = Client(name="azure-sdk-node", measured="azure-iot-device 1.18.4", judge=judge)
