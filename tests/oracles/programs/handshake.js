// Node's TLS as a judge. Arguments: address, port. Standard input: one question a line, with tabs:
//
//     purpose  name  trusted root  own chain  own key
//
// A peer judged as a "server" is connected to and must be called by the name; one judged as a "client" is asked for its
// certificate, by us as its server. Prints "accepted" or "refused: why".
const fs = require("node:fs");
const net = require("node:net");
const tls = require("node:tls");

const [address, port] = [process.argv[2], Number(process.argv[3])];

function judgeServer(name, ca) {
  return new Promise((resolve) => {
    const options = { host: address, port, ca, checkServerIdentity: (_, shown) => tls.checkServerIdentity(name, shown) };
    if (!net.isIP(name)) options.servername = name;
    const socket = tls.connect(options, () => {
      resolve("accepted");
      socket.destroy();
    });
    socket.on("error", (error) => resolve(`refused: ${error.code} ${error.message.split("\n")[0]}`));
  });
}

function judgeClient(ca, cert, key) {
  return new Promise((resolve) => {
    const server = tls.createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, (socket) => {
      resolve("accepted");
      socket.destroy();
    });
    server.on("tlsClientError", (error) => resolve(`refused: ${error.code} ${error.message.split("\n")[0]}`));
    const socket = net.connect({ host: address, port }, () => server.emit("connection", socket));
    socket.on("error", () => {});
  });
}

(async () => {
  for (const line of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
    const [purpose, name, ...files] = line.split("\t");
    const [trusted, chain, key] = files.slice(0, 3).map((file) => fs.readFileSync(file));
    console.log(await (purpose === "server" ? judgeServer(name, trusted) : judgeClient(trusted, chain, key)));
  }
})();
