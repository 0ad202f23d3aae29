// A leaf device or module that answers: Azure's unmodified client for Node, until its standard input ends. The first line
// is a JSON object: {connection_string, root, websockets} for a leaf device, {} for a module, {ask: [device, module]} for
// a module that calls a method itself. Says as JSON lines that it is ready, each method, each message.
const fs = require('fs');
const readline = require('readline');
const { Client, ModuleClient } = require('azure-iot-device');
const { Mqtt, MqttWs } = require('azure-iot-device-mqtt');

const say = (facts) => console.log(JSON.stringify(facts));
const lines = readline.createInterface({ input: process.stdin });

async function clientFor(task) {
  if (!task.connection_string) return ModuleClient.fromEnvironment(Mqtt);
  const client = Client.fromConnectionString(task.connection_string, task.websockets ? MqttWs : Mqtt);
  await client.setOptions({ ca: fs.readFileSync(task.root, 'utf8') });
  return client;
}

async function main(task) {
  const client = await clientFor(task);
  await client.open();
  if (task.ask) {
    const call = { methodName: 'echo', payload: { from: 'node' }, responseTimeoutInSeconds: 20, connectTimeoutInSeconds: 5 };
    say(await client.invokeMethod(...task.ask, call));
    process.exit(0);
  }
  const onMethod = (request, response) => {
    say({ method: request.methodName });
    response.send(207, { name: request.methodName, given: request.payload });
  };
  if (task.connection_string) {
    client.onDeviceMethod('echo', onMethod);
    client.on('message', (message) => {
      const properties = Object.fromEntries(message.properties.propertyList.map((p) => [p.key, p.value]));
      client.complete(message, () => say({ message: message.data.toString(), message_id: message.messageId, properties }));
    });
  } else {
    client.onMethod('echo', onMethod);
  }
  // The client has no word for "subscribed": the caller waits for the device.
  say({ ready: true });
}

lines.once('line', (line) => {
  const task = JSON.parse(line);
  if (!task.ask) lines.once('close', () => process.exit(0));
  main(task).catch((error) => { say({ error: String(error) }); process.exit(1); });
});
