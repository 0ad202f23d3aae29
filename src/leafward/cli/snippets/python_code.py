"""Python, with Azure's own client."""

from leafward.cli.snippets.leaf import Leaf, fill, text

_CODE = """\
# pip install azure-iot-device
from azure.iot.device import @IMPORTS@

with open(@ROOT@) as file:
    root = file.read()

@CLIENT@
client.connect()
message = Message('{"temperature": 21.5}', content_encoding="utf-8", content_type="application/json")
client.send_message(message)
print("sent")
client.shutdown()
"""
_BY_KEY = """\
client = IoTHubDeviceClient.create_from_connection_string(
    @CONNECTION@,
    server_verification_cert=root,
)"""
_BY_CERTIFICATE = """\
client = IoTHubDeviceClient.create_from_x509_certificate(
    x509=X509(cert_file=@CERTIFICATE@, key_file=@KEY@),
    hostname=@GATEWAY@,
    gateway_hostname=@GATEWAY@,
    device_id=@DEVICE@,
    server_verification_cert=root,
)"""


def write(leaf: Leaf) -> str:
    """The program."""
    if leaf.x509:
        client = fill(
            _BY_CERTIFICATE,
            CERTIFICATE=text(leaf.certificate),
            KEY=text(leaf.private_key),
            GATEWAY=text(leaf.gateway),
            DEVICE=text(leaf.device_id),
        )
    else:
        client = fill(_BY_KEY, CONNECTION=text(leaf.connection_string))
    imports = "X509, IoTHubDeviceClient, Message" if leaf.x509 else "IoTHubDeviceClient, Message"
    return fill(_CODE, IMPORTS=imports, ROOT=text(leaf.root), CLIENT=client)
