import assert from "node:assert/strict";
import { join } from "node:path";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import { GrpcClient } from "./client.ts";
import { GrpcServer } from "./server.ts";

const getInfo = (_: unknown, reply: (error: null, info: object) => void) =>
  reply(null, { name: "driver" });

async function withServer(body: (path: string, client: GrpcClient) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "x.sock");
  const server = new GrpcServer(path, [[Registration, { getInfo }]]);
  const client = new GrpcClient(path);
  try {
    await body(path, client);
  } finally {
    client.close();
    await server.close();
    await Deno.remove(folder, { recursive: true });
  }
}

const asks = async (client: GrpcClient) =>
  (await client.call(Registration.method.getInfo, {}, { timeout: 5_000 })).name;

Deno.test("of more connections than a kubelet has, those that come last are closed", () =>
  withServer(async (path, client) => {
    assert.equal(await asks(client), "driver");
    const others: Deno.UnixConn[] = [];
    for (let i = 0; i < 40; i++) others.push(await Deno.connect({ transport: "unix", path }));
    // A server says something first; a connection that it closed says nothing more.
    const open = await Promise.all(others.map(async (other) => {
      return await other.read(new Uint8Array(1)).catch(() => null) !== null;
    }));
    assert.equal(open.filter((is) => is).length, 31);
    assert.equal(await asks(client), "driver");
    for (const other of others) other.close();
    // The places of those that went are free again.
    for (let tries = 0;; tries++) {
      const next = new GrpcClient(path);
      const name = await asks(next).catch(() => undefined);
      next.close();
      if (name === "driver") break;
      assert.ok(tries < 100, "no connection is taken any more");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }));

Deno.test("a connection that is closed before it said anything leaves its place", () =>
  withServer(async (path, client) => {
    for (let i = 0; i < 40; i++) {
      const other = await Deno.connect({ transport: "unix", path });
      // All that the server says: what is left unread would reset the connection.
      await other.read(new Uint8Array(1024));
      other.close();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(await asks(client), "driver");
  }));
