"""Leaf devices, or one module, that send as long as their standard input is open: Azure's unmodified Python client.

The first line of the input is a JSON object: {"root", "clients": [{"name", "websockets", …}]}, each client with its
"connection_string" or "x509"; one with neither is the module whose environment this is. Says as JSON lines what is
acknowledged ("sent"), what comes ("message", "desired"), and each time a client connects or is disconnected
("connected"). Methods are answered with what they were given. What is not acknowledged is sent again, as a careful
program does.
"""

import json
import sys
import threading
from pathlib import Path

from azure.iot.device import X509, IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse

SAID = threading.Lock()
DONE = threading.Event()
PAUSE_SECONDS = 0.05
OPTIONS = {"keep_alive": 5, "connection_retry_interval": 1}


def say(**facts):
    with SAID:
        print(json.dumps(facts), flush=True)


def client_for(given, root):
    options = {**OPTIONS, "websockets": given["websockets"]}
    if "connection_string" in given:
        text = given["connection_string"]
        return IoTHubDeviceClient.create_from_connection_string(text, server_verification_cert=root, **options)
    if "x509" in given:
        x509 = given["x509"]
        return IoTHubDeviceClient.create_from_x509_certificate(
            x509=X509(cert_file=x509["certificate"], key_file=x509["private_key"]),
            hostname=x509["gateway"],
            device_id=x509["device_id"],
            gateway_hostname=x509["gateway"],
            server_verification_cert=root,
            **options,
        )
    return IoTHubModuleClient.create_from_edge_environment(**options)


def send_on(given, root):
    name = given["name"]
    client = client_for(given, root)
    client.on_connection_state_change = lambda: say(name=name, connected=client.connected)
    client.on_method_request_received = lambda request: client.send_method_response(
        MethodResponse.create_from_method_request(request, 207, {"given": request.payload})
    )
    client.on_twin_desired_properties_patch_received = lambda patch: say(name=name, desired=patch)
    if "connection_string" in given or "x509" in given:
        client.on_message_received = lambda message: say(name=name, message=message.data.decode())
    number = 0
    while not DONE.wait(PAUSE_SECONDS):
        try:
            client.send_message(Message(f"{name} {number}"))
        except Exception as error:
            say(name=name, error=f"{type(error).__name__}: {error}")
        else:
            say(name=name, sent=number)
            number += 1
    client.shutdown()


def main():
    task = json.loads(sys.stdin.readline())
    root = Path(task["root"]).read_text()
    sending = [threading.Thread(target=send_on, args=[given, root]) for given in task["clients"]]
    for each in sending:
        each.start()
    sys.stdin.read()
    DONE.set()
    for each in sending:
        each.join()


main()
