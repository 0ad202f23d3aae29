// The Workload API as Azure's Node SDK calls it: its own class, from the module's environment.
//
// sdk_workload.js SDK MANAGEMENT_SOCKET|-     attaches itself first, unless "-"; prints the trust bundle and a token

'use strict';
const http = require('http');
const path = require('path');
const [sdk, management] = process.argv.slice(2);
const provider = require(path.join(sdk, 'dist', 'iotedge_authentication_provider.js'));

function attach(then) {
  if (management === '-') return then();
  const at = `/modules/${encodeURIComponent(process.env.IOTEDGE_MODULEID)}/attach?api-version=2018-06-28`;
  const request = http.request({ socketPath: management, path: at, method: 'POST' }, (answer) => {
    answer.resume();
    answer.on('end', () => (answer.statusCode === 200 ? then() : process.exit(2)));
  });
  request.end();
}

attach(() => {
  const own = new provider.IotEdgeAuthenticationProvider({
    workloadUri: process.env.IOTEDGE_WORKLOADURI,
    deviceId: process.env.IOTEDGE_DEVICEID,
    moduleId: process.env.IOTEDGE_MODULEID,
    iothubHostName: process.env.IOTEDGE_IOTHUBHOSTNAME,
    authScheme: process.env.IOTEDGE_AUTHSCHEME,
    gatewayHostName: process.env.IOTEDGE_GATEWAYHOSTNAME,
    generationId: process.env.IOTEDGE_MODULEGENERATIONID,
  });
  own.getTrustBundle((wrong, certificate) => {
    if (wrong) throw wrong;
    own._sign('resource', 1790000000, (failed, token) => {
      if (failed) throw failed;
      console.log(JSON.stringify({ certificate, token }));
      process.exit(0);
    });
  });
});
