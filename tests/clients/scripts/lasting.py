"""A leaf device that stays: Azure's unmodified Python client, told by lines on standard input what to send.

The first line is a JSON object as for device.py; each further line is a body to send. Answers each with "sent", after
the hub has acknowledged it; at the end of the input with how often it has connected.
"""

import json
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message


def main():
    task = json.loads(sys.stdin.readline())
    client = IoTHubDeviceClient.create_from_connection_string(
        task["connection_string"], server_verification_cert=Path(task["root"]).read_text(), keep_alive=60
    )
    connections = []
    client.on_connection_state_change = lambda: connections.append(client.connected)
    client.connect()
    print("connected", flush=True)
    for line in sys.stdin:
        client.send_message(Message(line.strip()))
        print("sent", flush=True)
    print(connections.count(True), flush=True)
    client.shutdown()


main()
