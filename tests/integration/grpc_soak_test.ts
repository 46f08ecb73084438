/**
 * The gRPC server under what corrupted memory in some releases of Deno: many calls, connections that
 * come and go, cancellations, garbage, idle connections that are sent away.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DRAPlugin } from "../../proto/gen/dra/dra_v1_pb.ts";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import { socketPaths } from "../../mod/dra/socket_paths.ts";
import { GrpcClient } from "../../mod/grpc/client.ts";

const CALLS = 10_000;
const CONNECTIONS = 150;
const CANCELLATIONS = 300;
const GARBAGE = 100;
const IDLE = Number(Deno.env.get("NETWORK_DRA_SOAK_IDLE_SECONDS") ?? 5) * 1000;

const driver = "soak.networking";
const { nodePrepareResources } = DRAPlugin.method;
const request = (name: string) =>
  ({ claims: [{ namespace: "default", name, uid: "uid" }] }) as never;
const timeout = 10_000;

class SoakServer {
  readonly address: string;
  readonly idleAddress: string;
  readonly #process: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  ended = false;

  private constructor(readonly folder: string) {
    this.address = socketPaths({ kubeletDir: folder, driver }).service;
    this.idleAddress = join(folder, "idle.sock");
    const script = new URL("../support/soak_server.ts", import.meta.url).pathname;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", "--no-check", script, folder, driver],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#output = this.#process.stdout.getReader();
    this.#process.status.then(() => this.ended = true);
  }

  static async start(): Promise<SoakServer> {
    const folder = await Deno.makeTempDir();
    await Deno.mkdir(join(folder, "plugins_registry"));
    const server = new SoakServer(folder);
    await server.#output.read();
    return server;
  }

  async stop(): Promise<Deno.CommandStatus> {
    if (!this.ended) this.#process.kill("SIGTERM");
    const status = await this.#process.status;
    await this.#output.cancel();
    await Deno.remove(this.folder, { recursive: true });
    return status;
  }

  async descriptors(): Promise<number> {
    return (await Array.fromAsync(Deno.readDir(`/proc/${this.#process.pid}/fd`))).length;
  }
}

Deno.test("the gRPC server withstands calls, connections, cancellations, garbage and idle connections", async (t) => {
  const server = await SoakServer.start();
  const client = new GrpcClient(server.address);
  const works = async () => {
    const { claims } = await client.call(nodePrepareResources, request("a"), { timeout });
    assert.equal(claims["uid"]?.error, "");
    assert.equal(server.ended, false);
  };
  try {
    await works();
    const before = await server.descriptors();

    await t.step(`${CALLS} calls`, async () => {
      for (let i = 0; i < CALLS; i += 50) {
        await Promise.all(Array.from({ length: 50 }, works));
      }
    });
    await t.step(`${CONNECTIONS} connections`, async () => {
      for (let i = 0; i < CONNECTIONS; i++) {
        const other = new GrpcClient(server.address);
        await other.call(nodePrepareResources, request("a"), { timeout });
        other.close();
      }
      await works();
    });
    await t.step(`${CANCELLATIONS} cancellations`, async () => {
      for (let i = 0; i < CANCELLATIONS; i += 10) {
        await Promise.all(Array.from({ length: 10 }, async (_, j) => {
          const cancelled = new AbortController();
          setTimeout(() => cancelled.abort(), j);
          const call = client.call(nodePrepareResources, request("slow"), {
            timeout,
            signal: cancelled.signal,
          });
          await assert.rejects(call, /CANCELLED/);
        }));
      }
      await works();
    });
    await t.step(`${GARBAGE} connections that send garbage`, async () => {
      for (let i = 0; i < GARBAGE; i++) {
        const socket = await Deno.connect({ transport: "unix", path: server.address });
        await socket.write(crypto.getRandomValues(new Uint8Array(1 + i * 7))).catch(() => {});
        socket.close();
      }
      await works();
    });
    await t.step(`connections that are idle for ${IDLE / 1000} s and sent away`, async () => {
      const others = Array.from(
        { length: 10 },
        () => new GrpcClient(server.idleAddress),
      );
      const { getInfo } = Registration.method;
      for (const other of others) await other.call(getInfo, {}, { timeout });
      await new Promise((resolve) => setTimeout(resolve, IDLE));
      for (const other of others) {
        assert.equal((await other.call(getInfo, {}, { timeout })).name, "idle");
        other.close();
      }
      await works();
    });
    await t.step("no descriptor is left open", async () => {
      let after = Infinity;
      for (let tries = 0; tries < 100 && after > before + 2; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        after = await server.descriptors();
      }
      assert.ok(after <= before + 2, `${before} before, ${after} after`);
    });
  } finally {
    client.close();
    const { code, signal } = await server.stop();
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  }
});
