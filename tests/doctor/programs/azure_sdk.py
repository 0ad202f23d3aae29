"""The unmodified Azure SDK for Python as a judge. Run by the leaf's own Python.

Standard input: a JSON list of {"host", "port", "root"}: the name that the leaf connects by, where that name leads to
here, and the roots, PEM. Prints a JSON list: for each the whole error, the outermost first, or [] where it connected.
"""

import json
import logging
import socket
import sys
from contextlib import suppress

from azure.iot.device import IoTHubDeviceClient

_connect = socket.create_connection


def _leads_to(port):
    """Stands in for DNS and for port 8883, which many cases cannot share."""

    def here(_address, *arguments, **options):
        return _connect(("127.0.0.1", port), *arguments, **options)

    socket.create_connection = here


def _causes(error):
    while error is not None:
        yield f"{type(error).__name__}: {error}"
        error = error.__cause__ or error.__context__


def _judge(asked):
    key = "c2VjcmV0IHNlY3JldCBzZWNyZXQh"
    text = f"HostName=hub.test;DeviceId=leaf;SharedAccessKey={key};GatewayHostName={asked['host']}"
    client = IoTHubDeviceClient.create_from_connection_string(
        text, server_verification_cert=asked["root"], connection_retry=False
    )
    try:
        client.connect()
    except Exception as error:
        return list(_causes(error))
    finally:
        with suppress(Exception):  # the server may have hung up
            client.shutdown()
    return []


def main():
    logging.disable(logging.CRITICAL)
    answers = []
    for asked in json.load(sys.stdin):
        _leads_to(asked["port"])
        answers.append(_judge(asked))
    sys.stdout.write(json.dumps(answers))


main()
