"""A leaf device: Azure's own `azure-iot-device` client as it is, with one root certificate and one connection string.

It runs as somebody else's program, in an environment that has nothing of leafward in it:

    leaf.py ROOT_CERTIFICATE [HOST=ADDRESS]    the connection string comes on standard input, never in argv

`HOST=ADDRESS` stands in for a line in /etc/hosts, for a gateway name that no resolver here knows.
"""

import itertools
import json
import random
import select
import socket
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient, Message

INTERVAL_SECONDS = 2.0


def resolve(host: str, address: str) -> None:
    """Makes `host` resolve to `address` in this process."""
    ask = socket.getaddrinfo

    def answer(name, *arguments, **options):  # type: ignore[no-untyped-def]
        return ask(address if name == host else name, *arguments, **options)

    socket.getaddrinfo = answer


def gone(seconds: float) -> bool:
    """Waits, and tells whether standard input was closed meanwhile."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not sys.stdin.read(1)


def main() -> None:
    """Sends a reading every few seconds, until standard input closes: whoever started it has gone then."""
    root, *hosts = sys.argv[1:]
    for host in hosts:
        resolve(*host.split("=", 1))
    client = IoTHubDeviceClient.create_from_connection_string(
        sys.stdin.readline().strip(), server_verification_cert=Path(root).read_text()
    )
    client.connect()
    for count in itertools.count(1):
        message = Message(
            json.dumps({"reading": count, "temperature": round(random.gauss(21, 0.5), 2)}),
            content_type="application/json",
            content_encoding="utf-8",
        )
        message.custom_properties["kind"] = "demonstration"
        client.send_message(message)
        if gone(INTERVAL_SECONDS):
            break
    client.shutdown()


if __name__ == "__main__":
    main()
