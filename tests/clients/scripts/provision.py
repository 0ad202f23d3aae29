"""A device that registers and then sends: Azure's unmodified Python clients. JSON comes in, the outcome goes out.

{"host", "id_scope", "registration_id", "root"} with {"x509": {"certificate", "private_key"}} or {"symmetric_key"},
"payload", "websockets" and "messages": [text]. Answers {"ok", "status", "hub", "device_id", "substatus", "payload"} or
{"ok": false, "error": […every cause…]}.
"""

import json
import sys
from pathlib import Path

from azure.iot.device import X509, IoTHubDeviceClient, Message, ProvisioningDeviceClient


def registration(task, options):
    common = {
        "provisioning_host": task["host"],
        "registration_id": task["registration_id"],
        "id_scope": task["id_scope"],
        **options,
    }
    if "x509" in task:
        return ProvisioningDeviceClient.create_from_x509_certificate(x509=x509_of(task), **common)
    return ProvisioningDeviceClient.create_from_symmetric_key(symmetric_key=task["symmetric_key"], **common)


def x509_of(task):
    return X509(cert_file=task["x509"]["certificate"], key_file=task["x509"]["private_key"])


def device(task, state, options):
    common = {"hostname": state.assigned_hub, "device_id": state.device_id, **options}
    if "x509" in task:
        return IoTHubDeviceClient.create_from_x509_certificate(x509=x509_of(task), **common)
    return IoTHubDeviceClient.create_from_symmetric_key(symmetric_key=task["symmetric_key"], **common)


def causes(error):
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__ or error.__context__


def main():
    task = json.load(sys.stdin)
    options = {"server_verification_cert": Path(task["root"]).read_text(), "websockets": task.get("websockets", False)}
    try:
        client = registration(task, options)
        if "payload" in task:
            client.provisioning_payload = task["payload"]
        result = client.register()
        state = result.registration_state
        answer = {
            "ok": True,
            "status": result.status,
            "hub": state.assigned_hub,
            "device_id": state.device_id,
            "substatus": state.sub_status,
            "payload": json.loads(state.response_payload),
            "text": str(state),
        }
        if task.get("messages"):
            sender = device(task, state, {**options, "connection_retry": False})
            sender.connect()
            for text in task["messages"]:
                sender.send_message(Message(text))
            sender.shutdown()
        print(json.dumps(answer))
    except Exception as error:
        print(json.dumps({"ok": False, "error": list(causes(error))}))


main()
