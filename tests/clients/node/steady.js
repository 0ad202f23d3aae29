// Leaf devices, or one module, that send as long as their standard input is open: Azure's unmodified client for Node. Its
// first line is a JSON object: {root, clients: [{name, websockets, connection_string, certificate, private_key}]}; a client
// without a connection string is the module whose environment this is. Says as JSON lines what is acknowledged ("sent"),
// what comes ("message", "desired") and each end of a connection ("connected"). Methods are answered with what they were
// given. What is not acknowledged is sent again.
const fs = require('fs');
const readline = require('readline');
const { Client, Message, ModuleClient } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const PAUSE_MS = 50;
const say = (facts) => console.log(JSON.stringify(facts));
const pause = () => new Promise((go) => setTimeout(go, PAUSE_MS));
let done = false;

async function clientFor(given, root) {
  const transport = given.websockets ? MqttWs : Mqtt;
  if (!given.connection_string) return ModuleClient.fromEnvironment(transport);
  const client = Client.fromConnectionString(given.connection_string, transport);
  const options = { ca: fs.readFileSync(root, 'utf8') };
  if (given.certificate) {
    options.cert = fs.readFileSync(given.certificate, 'utf8');
    options.key = fs.readFileSync(given.private_key, 'utf8');
  }
  await client.setOptions(options);
  return client;
}

async function sendOn(given, root) {
  const { name } = given;
  const client = await clientFor(given, root);
  await client.open();
  say({ name, connected: true });
  client.on('disconnect', () => say({ name, connected: false }));
  if (given.connection_string) {
    client.on('message', (message) => client.complete(message, () => say({ name, message: message.data.toString() })));
  }
  const onMethod = (request, response) => response.send(207, { given: request.payload });
  if (given.connection_string) client.onDeviceMethod('echo', onMethod);
  else client.onMethod('echo', onMethod);
  const twin = await client.getTwin();
  twin.on('properties.desired', (desired) => say({ name, desired }));
  for (let number = 0; !done; await pause()) {
    try {
      await client.sendEvent(new Message(`${name} ${number}`));
      say({ name, sent: number });
      number += 1;
    } catch (error) {
      say({ name, error: String(error) });
    }
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.once('line', (line) => {
  const task = JSON.parse(line);
  lines.once('close', () => { done = true; });
  Promise.all(task.clients.map((given) => sendOn(given, task.root))).then(
    () => process.exit(0),
    (error) => { say({ error: String(error) }); process.exit(1); },
  );
});
