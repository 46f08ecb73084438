import assert from "node:assert/strict";
import { join } from "node:path";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import { DRAResourceHealth } from "../../proto/gen/dra/health_v1_pb.ts";
import { GrpcClient } from "./client.ts";
import { GrpcServer } from "./server.ts";

const { getInfo } = Registration.method;
const { nodeWatchResources } = DRAResourceHealth.method;

type Reply = (error: { code: number; details: string } | null, info?: object) => void;

async function withServer(
  implementation: Record<string, unknown>,
  body: (bench: { client: GrpcClient; path: string; server: GrpcServer }) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "s.sock");
  const server = new GrpcServer(path, [
    [Registration, implementation as never],
    [DRAResourceHealth, implementation as never],
  ]);
  const client = new GrpcClient(path);
  try {
    await body({ client, path, server });
  } finally {
    client.close();
    await server.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("GrpcClient.call() gives messages of any size", () =>
  withServer({
    getInfo: (_: unknown, reply: Reply) =>
      reply(null, { name: "x".repeat(300_000), supportedVersions: ["a"] }),
  }, async ({ client }) => {
    const info = await client.call(getInfo, {}, { timeout: 5_000 });
    assert.equal(info.name.length, 300_000);
    assert.deepEqual(info.supportedVersions, ["a"]);
  }));

Deno.test("GrpcClient.call() rejects with the server's code and words", () =>
  withServer({
    getInfo: (_: unknown, reply: Reply) => reply({ code: 5, details: "no such thing: ü" }),
  }, async ({ client }) => {
    await assert.rejects(client.call(getInfo, {}, { timeout: 5_000 }), {
      code: "NOT_FOUND",
      message: "NOT_FOUND: no such thing: ü",
    });
  }));

Deno.test("GrpcClient.call() rejects when time is up, when it is cancelled, when nobody listens", () =>
  withServer({ getInfo: () => {} }, async ({ client, path }) => {
    await assert.rejects(client.call(getInfo, {}, { timeout: 20 }), { code: "DEADLINE_EXCEEDED" });
    const cancelled = client.call(getInfo, {}, {
      timeout: 5_000,
      signal: AbortSignal.timeout(20),
    });
    await assert.rejects(cancelled, { code: "CANCELLED" });
    const nobody = new GrpcClient(`${path}.other`);
    await assert.rejects(nobody.call(getInfo, {}, { timeout: 5_000 }), { code: "UNAVAILABLE" });
  }));

Deno.test("GrpcClient.destroy() fails the calls that are under way", () =>
  withServer({ getInfo: () => {} }, async ({ client }) => {
    const call = client.call(getInfo, {}, { timeout: 5_000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.destroy();
    await assert.rejects(call, { code: "UNAVAILABLE" });
  }));

Deno.test("GrpcClient connects anew when the connection was lost", () =>
  withServer({
    getInfo: (_: unknown, reply: Reply) => reply(null, { name: "first" }),
  }, async ({ client, path, server }) => {
    await client.call(getInfo, {}, { timeout: 5_000 });
    server.destroy();
    const second = new GrpcServer(path, [[Registration, {
      getInfo: (_: unknown, reply: Reply) => reply(null, { name: "second" }),
    }]]);
    try {
      await assert.doesNotReject(async () => {
        for (;;) {
          const info = await client.call(getInfo, {}, { timeout: 5_000 }).catch(() => undefined);
          if (info) return assert.equal(info.name, "second");
        }
      });
    } finally {
      client.close();
      await second.close();
    }
  }));

Deno.test("GrpcClient.stream() gives each message as it comes, and ends with its signal", () =>
  withServer({
    nodeWatchResources: (call: { write(message: object): void }) => {
      call.write({ devices: [] });
      setTimeout(() => call.write({ devices: [{ message: "second" }] }), 20);
    },
  }, async ({ client }) => {
    const end = new AbortController();
    const seen: number[] = [];
    for await (const { devices } of client.stream(nodeWatchResources, {}, end.signal)) {
      if (seen.push(devices.length) === 2) end.abort();
    }
    assert.deepEqual(seen, [0, 1]);
  }));
