// A leaf device or module that minds its twin: Azure's unmodified client for Node, told what to do by lines on stdin.
// The first line is an object: {connection_string, root} for a leaf device, {} for a module with the edge's environment.
// Then {do: "get"} and {do: "report", patch}; each is answered by one JSON line. Changes of the desired properties come
// as {desired} whenever they come.
const fs = require('fs');
const readline = require('readline');
const { Client, ModuleClient } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const say = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);

async function clientFor(task) {
  if (!task.connection_string) return ModuleClient.fromEnvironment(Mqtt);
  const client = Client.fromConnectionString(task.connection_string, Mqtt);
  await client.setOptions({ ca: fs.readFileSync(task.root, 'utf8') });
  return client;
}

const report = (twin, patch) => new Promise((resolve, reject) => {
  twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve({ reported: true })));
});

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const client = await clientFor(JSON.parse((await lines.next()).value));
  await client.open();
  const twin = await client.getTwin();
  twin.on('properties.desired', (desired) => say({ desired }));
  say({ connected: true });
  for await (const line of lines) {
    const asked = JSON.parse(line);
    try {
      if (asked.do === 'get') {
        await twin.get();
        say({ twin: { desired: twin.properties.desired, reported: { ...twin.properties.reported, update: undefined } } });
      } else {
        say(await report(twin, asked.patch));
      }
    } catch (error) {
      say({ error: `${error.name}: ${error.message}` });
    }
  }
  await client.close();
}

main().then(() => process.exit(0), (error) => { say({ error: `${error.name}: ${error.message}` }); process.exit(1); });
