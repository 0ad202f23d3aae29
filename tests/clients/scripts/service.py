"""A service: Azure's unmodified Python client. One JSON object on standard input: {"connection_string", "root", "do"}.

`do` is a list of ["send", device, body, properties], ["twin", device], ["desired", device, patch] and
["method", device, name, payload]; the outcomes come as one JSON list, an error as {"error": …}.

Its AMQP library knows the roots of `certifi` and no option for another, so `certifi.where` names ours.
"""

import json
import sys

import certifi


def outcome(manager, models, task):
    what, device, *rest = task
    if what == "send":
        manager.send_c2d_message(device, rest[0], properties=rest[1] if len(rest) > 1 else {})
        return "sent"
    if what == "twin":
        return manager.get_twin(device).properties.desired
    if what == "desired":
        wanted = models.Twin(properties=models.TwinProperties(desired=rest[0]))
        return manager.update_twin(device, wanted, "*").properties.desired
    answer = manager.invoke_device_method(
        device,
        models.CloudToDeviceMethod(method_name=rest[0], payload=rest[1], response_timeout_in_seconds=20),
    )
    return {"status": answer.status, "payload": answer.payload}


def main():
    task = json.load(sys.stdin)
    certifi.where = lambda: task["root"]
    from azure.iot.hub import IoTHubRegistryManager, models

    manager, outcomes = None, []
    for one in task["do"]:
        try:
            manager = manager or IoTHubRegistryManager(task["connection_string"])
            outcomes.append(outcome(manager, models, one))
        except Exception as error:
            outcomes.append({"error": f"{type(error).__name__}: {error}"[:500]})
    print(json.dumps(outcomes))


main()
