// Stands between a device and the gateway, so that the gateway sees a device from elsewhere and asks for its pairing:
// a connection straight from loopback is let in without a word, and the gateway's container sees none of those.
// Usage: node far_away.mjs LISTEN_PORT GATEWAY_PORT
import { connect, createServer } from "node:net";

const [listenPort, gatewayPort] = process.argv.slice(2).map(Number);
createServer((device) => {
  const gateway = connect(gatewayPort, "127.0.0.1");
  device.once("data", (start) => {
    const request = start.toString("latin1");
    const lineEnd = request.indexOf("\r\n") + 2;
    gateway.write(`${request.slice(0, lineEnd)}X-Forwarded-For: 203.0.113.7\r\n${request.slice(lineEnd)}`, "latin1");
    device.pipe(gateway);
  });
  gateway.pipe(device);
  for (const end of [device, gateway]) {
    end.on("error", () => { device.destroy(); gateway.destroy(); });
    end.on("close", () => { device.destroy(); gateway.destroy(); });
  }
}).listen(listenPort, "127.0.0.1");
