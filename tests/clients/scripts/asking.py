"""A module that asks: Azure's unmodified Python client calls a direct method. asking.py METHOD DEVICE [MODULE]

Prints what was answered, or {"error": …}, as a JSON line.
"""

import json
import sys

from azure.iot.device import IoTHubModuleClient


def main():
    client = IoTHubModuleClient.create_from_edge_environment()
    name, *target = sys.argv[1:]
    call = {
        "methodName": name,
        "payload": {"from": "module"},
        "responseTimeoutInSeconds": 20,
        "connectTimeoutInSeconds": 5,
    }
    try:
        print(json.dumps(client.invoke_method(call, *target)), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{error!r} because {error.__cause__!r}"}), flush=True)
    client.shutdown()


main()
