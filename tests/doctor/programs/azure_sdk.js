// The unmodified Azure SDK for Node as a judge. Standard input: a JSON list of {"host", "port", "root"}: the name that
// the leaf connects by, where that name leads to here, and the roots, PEM. Prints a JSON list: for each the whole error,
// the outermost first, or [] where it connected.
const fs = require('fs');
const net = require('net');
const path = require('path');
const modules = path.join(__dirname, '../../clients/node/node_modules');
const { Client } = require(path.join(modules, 'azure-iot-device'));
const { Mqtt } = require(path.join(modules, 'azure-iot-device-mqtt'));

// Stands in for DNS and for port 8883, which many cases cannot share; what TLS compares is not touched.
let port = 0;
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function here(given, ...rest) {
  const options = Array.isArray(given) ? given[0] : given;
  if (!options || options.port !== 8883) return connect.call(this, given, ...rest);
  return connect.call(this, { ...options, host: '127.0.0.1', port }, ...(Array.isArray(given) ? [given[1]] : rest));
};

function causes(error) {
  const found = [];
  for (let one = error; one; one = one.transportError || one.innerError || one.cause) {
    found.push(`${one.name}: ${one.message}`);
  }
  return found;
}

async function judge(asked) {
  port = asked.port;
  const key = 'c2VjcmV0IHNlY3JldCBzZWNyZXQh';
  const text = `HostName=hub.test;DeviceId=leaf;SharedAccessKey=${key};GatewayHostName=${asked.host}`;
  const client = Client.fromConnectionString(text, Mqtt);
  client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
  try {
    await client.setOptions({ ca: asked.root });
    await client.open();
    return [];
  } catch (error) {
    return causes(error);
  } finally {
    await client.close().catch(() => {});
  }
}

(async () => {
  const answers = [];
  for (const asked of JSON.parse(fs.readFileSync(0, 'utf8'))) answers.push(await judge(asked));
  process.stdout.write(JSON.stringify(answers), () => process.exit(0));
})();
