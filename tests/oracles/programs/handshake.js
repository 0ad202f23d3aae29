// Node's TLS on a chain: serves it, connects to it, prints one line of JSON for each case read from standard input.
const tls = require("node:tls");

const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

function handshake({ chain, key, trusted, name, address }) {
  return new Promise((resolve) => {
    const server = tls.createServer({ cert: chain, key }, (socket) => socket.end());
    server.listen(0, "127.0.0.1", () => {
      const target = { host: "127.0.0.1", port: server.address().port, ca: trusted };
      // An address is no SNI name: Node then checks the host that it connects to.
      const socket = tls.connect(address ? target : { ...target, servername: name }, () => {
        resolve({ error: null });
        socket.destroy();
        server.close();
      });
      socket.on("error", (error) => {
        resolve({ error: error.code });
        server.close();
      });
    });
    server.on("tlsClientError", () => {});
  });
}

(async () => {
  for (const one of cases) console.log(JSON.stringify(await handshake(one)));
})();
