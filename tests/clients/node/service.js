// A service: Azure's unmodified client for Node, over AMQP 1.0. One JSON object a line comes on standard input, one answer
// a line goes out: {send: [device, {body, properties, ack, messageId}]}, {feedback: true} waits for the next batch,
// {method: [device, name, payload]}, {twin: device}, {desired: [device, patch]}. The first line is {connection_string}.
const readline = require('readline');
const { Client, Registry } = require('azure-iothub');
const { Message } = require('azure-iot-common');

const say = (facts) => console.log(JSON.stringify(facts));

function told(error) {
  return { error: error.constructor.name, message: String(error.message), condition: error.amqpError && error.amqpError.condition };
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { connection_string: text } = JSON.parse((await lines.next()).value);
  const client = Client.fromConnectionString(text);
  const registry = Registry.fromConnectionString(text);
  const batches = [];
  let wanted;
  let receiver;
  const handlers = {
    open: async () => { await client.open(); return { opened: true }; },
    send: async ([device, given]) => {
      const message = new Message(given.body);
      for (const [key, value] of Object.entries(given.properties || {})) message.properties.add(key, value);
      if (given.ack) message.ack = given.ack;
      if (given.messageId) message.messageId = given.messageId;
      if (given.expiry) message.expiryTimeUtc = new Date(given.expiry);
      await client.send(device, message);
      return { sent: device };
    },
    listen: async () => {
      receiver = await new Promise((resolve, reject) => {
        client.getFeedbackReceiver((error, found) => (error ? reject(error) : resolve(found)));
      });
      receiver.on('message', (message) => {
        batches.push(JSON.parse(message.data.toString()));
        receiver.complete(message, () => { if (wanted) wanted(); });
      });
      return { listening: true };
    },
    feedback: async () => {
      if (!batches.length) await new Promise((resolve) => { wanted = resolve; });
      return { feedback: batches.shift() };
    },
    method: async ([device, methodName, payload]) => {
      const answer = await client.invokeDeviceMethod(device, { methodName, payload, responseTimeoutInSeconds: 20 });
      return { answer: answer.result };
    },
    twin: async (device) => {
      const { responseBody: twin } = await registry.getTwin(device);
      return { desired: twin.properties.desired, reported: twin.properties.reported, tags: twin.tags };
    },
    desired: async ([device, desired]) => {
      const { responseBody: twin } = await registry.updateTwin(device, { properties: { desired } }, '*');
      return { desired: twin.properties.desired };
    },
  };
  for await (const line of lines) {
    const [[what, argument]] = Object.entries(JSON.parse(line));
    try { say(await handlers[what](argument)); } catch (error) { say(told(error)); }
  }
  process.exit(0);
}

main();
