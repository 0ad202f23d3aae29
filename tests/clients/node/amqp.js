// A leaf device: Azure's unmodified client for Node, over AMQP 1.0. One JSON object a line comes on standard input, what
// happens goes out as JSON lines. The first line is {connection_string, root} (and certificate, private_key for X.509);
// then {open: true}, {send: {body, properties, message_id, …}}, {burst: n}, {twin: true}, {report: patch}, {receive: "complete|reject|abandon"},
// {method: name}, {pause: seconds}, {close: true}. Standard input's end is the end.
const fs = require('fs');
const readline = require('readline');
const { Client, Message } = require('azure-iot-device');
const { Amqp } = require('azure-iot-device-amqp');

const say = (facts) => console.log(JSON.stringify(facts));

function messageFor(given) {
  const message = new Message(given.body);
  for (const [key, value] of Object.entries(given.properties || {})) message.properties.add(key, value);
  if (given.message_id) message.messageId = given.message_id;
  if (given.content_type) message.contentType = given.content_type;
  if (given.content_encoding) message.contentEncoding = given.content_encoding;
  return message;
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const first = JSON.parse((await lines.next()).value);
  const client = Client.fromConnectionString(first.connection_string, Amqp);
  const options = { ca: fs.readFileSync(first.root, 'utf8') };
  if (first.certificate) {
    options.cert = fs.readFileSync(first.certificate, 'utf8');
    options.key = fs.readFileSync(first.private_key, 'utf8');
  }
  if (first.renewal) options.tokenRenewal = first.renewal;
  await client.setOptions(options);
  client.setRetryPolicy(new (require('azure-iot-common').NoRetry)());
  client.on('disconnect', (error) => say({ disconnected: String(error && error.transportError) }));
  client.on('error', (error) => say({ client_error: String(error) }));
  let twin;
  const handlers = {
    open: async () => { await client.open(); say({ opened: true }); },
    send: async (given) => { await client.sendEvent(messageFor(given)); say({ sent: given.body }); },
    burst: async (count) => {
      const from = Date.now();
      await Promise.all([...Array(count).keys()].map((n) => client.sendEvent(new Message(String(n)))));
      say({ burst: count, seconds: (Date.now() - from) / 1000 });
    },
    twin: async () => {
      twin = await client.getTwin();
      twin.on('properties.desired', (delta) => say({ desired: delta }));
      say({ twin: { desired: { ...twin.properties.desired }, reported: twin.properties.reported } });
    },
    report: (patch) => new Promise((resolve) => {
      twin.properties.reported.update(patch, (error) => { say(error ? { error: String(error) } : { reported: true }); resolve(); });
    }),
    receive: async (how) => {
      client.removeAllListeners('message');
      client.on('message', (message) => {
        const properties = Object.fromEntries(message.properties.propertyList.map((p) => [p.key, p.value]));
        const facts = { message: message.data.toString(), message_id: message.messageId, properties, ack: message.ack };
        client[how](message, (error) => say(error ? { error: String(error) } : facts));
      });
    },
    method: async (name) => client.onDeviceMethod(name, (request, response) => {
      say({ method: request.methodName });
      response.send(207, { name: request.methodName, given: request.payload }, (error) => error && say({ error: String(error.condition), text: error.description }));
    }),
    pause: async (seconds) => { await new Promise((resolve) => { setTimeout(resolve, seconds * 1000); }); say({ paused: seconds }); },
    close: async () => { await client.close(); say({ closed: true }); },
  };
  for await (const line of lines) {
    const [[what, argument]] = Object.entries(JSON.parse(line));
    try { await handlers[what](argument); } catch (error) { say({ error: `${error.constructor.name}: ${error.message}` }); }
  }
  process.exit(0);
}

main();
