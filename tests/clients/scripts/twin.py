"""A leaf device or module that minds its twin: Azure's unmodified Python client, told what to do by lines on stdin.

The first line is an object: {"connection_string", "root"} for a leaf device, {} for a module with the edge's
environment. Then {"do": "get"} and {"do": "report", "patch": …}; each is answered by one JSON line. Changes of the
desired properties come as {"desired": …}, and the connection's state as {"connected": …}, whenever they come.
"""

import json
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient

OPTIONS = {"connection_retry_interval": 1, "keep_alive": 60}


def say(**facts):
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def client_for(task):
    if "connection_string" not in task:
        return IoTHubModuleClient.create_from_edge_environment(**OPTIONS)
    root = Path(task["root"]).read_text()
    return IoTHubDeviceClient.create_from_connection_string(
        task["connection_string"], server_verification_cert=root, **OPTIONS
    )


def told_in_the_background(error):
    # A connection that ended is told here too; the client comes back by itself.
    if type(error).__name__ != "ConnectionDroppedError":
        say(background=repr(error))


def done(client, asked):
    if asked["do"] == "get":
        return {"twin": client.get_twin()}
    client.patch_twin_reported_properties(asked["patch"])
    return {"reported": True}


def main():
    client = client_for(json.loads(sys.stdin.readline()))
    client.on_connection_state_change = lambda: say(connected=client.connected)
    client.on_background_exception = told_in_the_background
    # This one connects: it subscribes.
    client.on_twin_desired_properties_patch_received = lambda patch: say(desired=patch)
    for line in sys.stdin:
        try:
            say(**done(client, json.loads(line)))
        except Exception as error:
            say(error=f"{type(error).__name__}: {error.__cause__ or error}")
    client.shutdown()


main()
