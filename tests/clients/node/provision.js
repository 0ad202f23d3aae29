// A device that registers and then sends: Azure's unmodified clients for Node. JSON on standard input, the outcome out.
// The provisioning client takes no root of its own: NODE_EXTRA_CA_CERTS names it.
const fs = require('fs');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Mqtt: ProvisioningMqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');

const task = JSON.parse(fs.readFileSync(0, 'utf8'));
const read = (file) => fs.readFileSync(file, 'utf8');

async function main() {
  const x509 = task.x509 && { cert: read(task.x509.certificate), key: read(task.x509.private_key) };
  const security = x509
    ? new X509Security(task.registration_id, x509)
    : new SymmetricKeySecurityClient(task.registration_id, task.symmetric_key);
  const transport = task.websockets ? new MqttWs() : new ProvisioningMqtt();
  const state = await ProvisioningDeviceClient.create(task.host, task.id_scope, transport, security).register();
  const credential = x509 ? 'x509=true' : `SharedAccessKey=${task.symmetric_key}`;
  const text = `HostName=${state.assignedHub};DeviceId=${state.deviceId};${credential}`;
  const client = Client.fromConnectionString(text, Mqtt);
  await client.setOptions({ ca: read(task.root), ...x509 });
  await client.open();
  for (const body of task.messages) await client.sendEvent(new Message(body));
  await client.close();
  return { ok: true, hub: state.assignedHub, device_id: state.deviceId, status: state.status };
}

main().then(
  (answer) => { console.log(JSON.stringify(answer)); process.exit(0); },
  (error) => { console.log(JSON.stringify({ ok: false, error: `${error.name}: ${error.message}` })); process.exit(0); },
);
