"""A leaf device: Azure's unmodified Python client. What to do comes as JSON on standard input, the outcome goes out.

{"connection_string": …} or {"x509": {"certificate", "private_key", "device_id", "gateway"}}, with "root" and
"messages": [{"body", "properties", "content_type"}]. Answers {"ok": true} or {"ok": false, "error": […every cause…]}.
"""

import json
import sys
from pathlib import Path

from azure.iot.device import X509, IoTHubDeviceClient, Message

OPTIONS = {"connection_retry": False, "keep_alive": 60}


def client_for(task):
    root = Path(task["root"]).read_text()
    if "connection_string" in task:
        text = task["connection_string"]
        return IoTHubDeviceClient.create_from_connection_string(text, server_verification_cert=root, **OPTIONS)
    given = task["x509"]
    return IoTHubDeviceClient.create_from_x509_certificate(
        x509=X509(cert_file=given["certificate"], key_file=given["private_key"]),
        hostname=given["gateway"],
        device_id=given["device_id"],
        gateway_hostname=given["gateway"],
        server_verification_cert=root,
        **OPTIONS,
    )


def message_for(given):
    message = Message(given["body"])
    message.content_type = given.get("content_type")
    message.content_encoding = "utf-8" if message.content_type else None
    message.message_id = given.get("message_id")
    message.custom_properties.update(given.get("properties", {}))
    return message


def causes(error):
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__ or error.__context__


def main():
    task = json.load(sys.stdin)
    try:
        client = client_for(task)
        client.connect()
        for given in task.get("messages", []):
            client.send_message(message_for(given))
        client.shutdown()
        print(json.dumps({"ok": True}))
    except Exception as error:
        print(json.dumps({"ok": False, "error": list(causes(error))}))


main()
