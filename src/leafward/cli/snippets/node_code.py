"""Node, with Azure's own client. It drops GatewayHostName for certificates: HostName is the gateway in both forms."""

from leafward.cli.snippets.leaf import Leaf, fill, text

_CODE = """\
// npm install azure-iot-device azure-iot-device-mqtt
const fs = require('fs');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

async function main() {
  const client = Client.fromConnectionString(@CONNECTION@, Mqtt);
  await client.setOptions({
    ca: fs.readFileSync(@ROOT@, 'utf8'),@OPTIONS@
  });
  await client.open();
  const message = new Message(JSON.stringify({ temperature: 21.5 }));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  await client.sendEvent(message);
  console.log('sent');
  await client.close();
}

main().then(() => process.exit(0), (error) => { console.error(String(error)); process.exit(1); });
"""
_CERTIFICATE = """
    cert: fs.readFileSync(@CERTIFICATE@, 'utf8'),
    key: fs.readFileSync(@KEY@, 'utf8'),"""


def write(leaf: Leaf) -> str:
    """The program."""
    options = fill(_CERTIFICATE, CERTIFICATE=text(leaf.certificate), KEY=text(leaf.private_key)) if leaf.x509 else ""
    return fill(_CODE, CONNECTION=text(leaf.connection_string), ROOT=text(leaf.root), OPTIONS=options)
