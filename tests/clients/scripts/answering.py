"""A leaf device or module that answers: Azure's unmodified Python client, until its standard input ends.

The first line of the input is a JSON object: {"connection_string", "root", "websockets"} for a leaf device, {} for a
module, which has its environment. Says as JSON lines that it is ready, each method it has answered, and each message.
"""

import json
import sys
import threading
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodResponse

SAID = threading.Lock()


def say(**facts):
    with SAID:
        print(json.dumps(facts), flush=True)


def client_for(task):
    if "connection_string" not in task:
        return IoTHubModuleClient.create_from_edge_environment()
    return IoTHubDeviceClient.create_from_connection_string(
        task["connection_string"],
        server_verification_cert=Path(task["root"]).read_text(),
        websockets=task.get("websockets", False),
    )


def main():
    task = json.loads(sys.stdin.readline())
    client = client_for(task)

    def on_method(request):
        answer = {"name": request.name, "given": request.payload}
        client.send_method_response(MethodResponse.create_from_method_request(request, 207, answer))
        say(method=request.name)

    def on_message(message):
        names = ("message_id", "correlation_id", "content_type", "expiry_time_utc", "ack")
        system = {name: getattr(message, name) for name in names}
        say(message=message.data.decode(), properties=message.custom_properties, **system)

    client.on_method_request_received = on_method
    if "connection_string" in task:
        client.on_message_received = on_message
    client.connect()
    say(ready=True)
    sys.stdin.read()
    client.shutdown()


main()
