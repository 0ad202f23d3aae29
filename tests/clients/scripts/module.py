"""A module: Azure's unmodified Python client, from the edge's environment. What happens comes out as JSON lines.

module.py send OUTPUT BODY      sends one message to an output
module.py receive COUNT         prints the messages that come to its inputs
"""

import json
import queue
import sys

from azure.iot.device import IoTHubModuleClient, Message


def say(**facts):
    print(json.dumps(facts), flush=True)


def main():
    client = IoTHubModuleClient.create_from_edge_environment()
    verb, *arguments = sys.argv[1:]
    received = queue.Queue()
    if verb == "receive":
        client.on_message_received = received.put
    client.connect()
    say(connected=True)
    if verb == "send":
        output, body = arguments
        message = Message(body, content_type="application/json", content_encoding="utf-8")
        message.custom_properties["from"] = "sender"
        client.send_message_to_output(message, output)
        say(sent=True)
    else:
        for _ in range(int(arguments[0])):
            message = received.get(timeout=30)
            say(input=message.input_name, body=message.data.decode(), properties=message.custom_properties)
    client.shutdown()


main()
