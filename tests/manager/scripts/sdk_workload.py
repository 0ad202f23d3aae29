"""The Workload API as Azure's Python SDK calls it: its own class, from the module's environment.

sdk_workload.py MANAGEMENT_SOCKET|-     attaches itself first, unless "-"; writes the trust bundle and a signature
"""

import http.client
import json
import os
import socket
import sys

from azure.iot.device.iothub.edge_hsm import IoTEdgeHsm


def attach(where: str, module: str) -> None:
    connection = http.client.HTTPConnection("manager")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(where)
    connection.request("POST", f"/modules/{module}/attach?api-version=2018-06-28")
    assert connection.getresponse().status == 200


environment = os.environ
if sys.argv[1] != "-":
    attach(sys.argv[1], environment["IOTEDGE_MODULEID"])
hsm = IoTEdgeHsm(
    module_id=environment["IOTEDGE_MODULEID"],
    generation_id=environment["IOTEDGE_MODULEGENERATIONID"],
    workload_uri=environment["IOTEDGE_WORKLOADURI"],
    api_version=environment["IOTEDGE_APIVERSION"],
)
sys.stdout.write(json.dumps({"certificate": hsm.get_certificate(), "signature": hsm.sign("text")}))
