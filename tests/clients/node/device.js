// A leaf device: Azure's unmodified client for Node. What to do comes as JSON on standard input, the outcome goes out.
const fs = require('fs');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));

async function main() {
  const client = Client.fromConnectionString(task.connection_string, Mqtt);
  const options = { ca: fs.readFileSync(task.root, 'utf8') };
  if (task.certificate) {
    options.cert = fs.readFileSync(task.certificate, 'utf8');
    options.key = fs.readFileSync(task.private_key, 'utf8');
  }
  await client.setOptions(options);
  await client.open();
  for (const body of task.messages) {
    const message = new Message(body);
    message.contentType = 'application/json';
    message.contentEncoding = 'utf-8';
    message.properties.add('client', 'node js');
    await client.sendEvent(message);
  }
  await client.close();
}

main().then(
  () => { console.log(JSON.stringify({ ok: true })); process.exit(0); },
  (error) => { console.log(JSON.stringify({ ok: false, error: `${error.name}: ${error.message}` })); process.exit(0); },
);
