/**
 * A container runtime and a kubelet that misbehave, against the agent as a process: its memory stays
 * bounded, it drops the connection where that must be, and serves those that behave.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect } from "node:http2";
import { join } from "node:path";
import { DRAPlugin } from "../../proto/gen/dra/dra_v1_pb.ts";
import { DRAResourceHealth } from "../../proto/gen/dra/health_v1_pb.ts";
import { SynchronizeRequestSchema } from "../../proto/gen/nri/nri_pb.ts";
import { RequestSchema } from "../../proto/gen/ttrpc/ttrpc_pb.ts";
import { GrpcClient } from "../../mod/grpc/client.ts";
import { socketPaths } from "../../mod/dra/socket_paths.ts";
import { encodeMessage } from "../../mod/nri/mux_frame.ts";
import { SimulatedApiServer } from "../../mod/simulator/api_server.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedKubelet } from "../../mod/simulator/kubelet.ts";
import { encodeFrame } from "../../mod/ttrpc/frame.ts";
import { unixStream } from "../../mod/unix/stream.ts";
import { concat } from "../fuzz/mutate_bytes.ts";
import { agentArguments, AgentProcess } from "../support/agent_process.ts";
import { MemoryWatch, unixSockets } from "../support/agent_memory.ts";
import { storeClaim } from "../support/claims.ts";
import { HostileRuntime, type PluginConnection } from "../support/hostile_runtime.ts";

const driver = "dra.networking";
const MIB = 1024 * 1024;
/** What the agent may hold whatever is done to it: it stands at 85 MiB, and takes in 64 MiB at a time. */
const MEMORY_LIMIT = 400 * MIB;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Bench {
  readonly api = new SimulatedApiServer();
  readonly kubelet: SimulatedKubelet;
  readonly runtime: HostileRuntime;
  agent!: AgentProcess;

  private constructor(readonly folder: string) {
    this.kubelet = new SimulatedKubelet({ kubeletDir: join(folder, "kubelet") });
    this.runtime = new HostileRuntime(join(folder, "nri.sock"));
  }

  /** @param descriptors how many the agent may have */
  static async start({ descriptors }: { readonly descriptors?: number } = {}): Promise<Bench> {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const bench = new Bench(folder);
    bench.api.start();
    bench.api.addNode("node-1");
    await Deno.writeTextFile(join(folder, "kubeconfig"), bench.api.kubeconfig());
    await bench.kubelet.start();
    const [cniPath] = await fetchCniPlugins();
    bench.agent = new AgentProcess(
      [
        ...["--node-name", "node-1", "--driver-name", driver, "--listen", ""],
        ...["--kubelet-dir", join(folder, "kubelet"), "--nri-socket", join(folder, "nri.sock")],
        ...["--state-dir", join(folder, "state"), "--cdi-dir", join(folder, "cdi")],
        ...["--kubeconfig", join(folder, "kubeconfig"), "--cni-path", cniPath!],
        // Each refusal is one line: at the level debug the log would be most of what is measured.
        ...["--log-level", "info"],
      ],
      descriptors === undefined ? {} : {
        program: "prlimit",
        args: [`--nofile=${descriptors}`, Deno.execPath(), ...agentArguments()],
      },
    );
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whatever was done to it, it ends as it should.
    const code = await this.agent.end().finally(() => this.agent.end("SIGKILL"));
    await this.kubelet.stop();
    this.runtime.stop();
    await this.api.stop();
    await Deno.remove(this.folder, { recursive: true });
    assert.equal(code, 0, this.agent.log);
  }

  /** A claim of one pod, prepared. */
  async claim(name: string): Promise<{ uid: string }> {
    const networks = [{ name: "lan", subnet: 1 }];
    const pods = [{ name, uid: `uid-${name}` }];
    const claim = storeClaim(this.api, { name: `claim-${name}`, driver, networks, pods });
    await this.kubelet.registered(driver);
    const answers = await this.kubelet.prepare(driver, [claim]);
    assert.equal(answers[claim.uid]?.error, "");
    return claim;
  }

  /** The agent behaves with those who behave, and holds no more than it may. */
  async survives(body: () => Promise<void>): Promise<void> {
    using watch = new MemoryWatch(this.agent.pid);
    try {
      await body();
    } finally {
      this.runtime.closeAll();
    }
    const held = Math.round(watch.most / MIB);
    assert.ok(watch.most < MEMORY_LIMIT, `the agent came to hold ${held} MiB`);
  }
}

const pod = (id: string, name: string) => ({
  id,
  name,
  uid: `uid-${name}`,
  namespace: "default",
  linux: { namespaces: [{ type: "network", path: `/run/netns/${id}` }] },
});

/** A request's bytes as they go over the socket. */
function request(streamId: number, method: string, payload: Uint8Array): Uint8Array {
  const service = "nri.pkg.api.v1alpha1.Plugin";
  const data = toBinary(RequestSchema, create(RequestSchema, { service, method, payload }));
  return encodeMessage(1, encodeFrame({ streamId, type: 1, flags: 0, data }));
}

/** Undefined, after so many milliseconds. */
async function late(ms: number): Promise<undefined> {
  await pause(ms);
}

/** Writes until it cannot any more. A write that the agent does not read ends with the agent. */
async function flood(connection: PluginConnection, bytes: (i: number) => Uint8Array) {
  try {
    for (let i = 0;; i++) await connection.write(bytes(i));
  } catch {
    // It was left.
  }
}

Deno.test({
  name: "a container runtime that misbehaves",
  // A write to who does not read has no end (see flood()).
  sanitizeOps: false,
  sanitizeResources: false,
  fn: misbehavingRuntime,
});

async function misbehavingRuntime(t: Deno.TestContext) {
  await using bench = await Bench.start();
  const { runtime, agent } = bench;
  const first = await runtime.synchronized();
  await agent.ready();
  first.close();

  const cases: Record<string, Uint8Array> = {
    "noise": crypto.getRandomValues(new Uint8Array(60_000)),
    "a frame of 4 GiB": new Uint8Array([0, 0, 0, 1, 255, 255, 255, 255]),
    "a message of 4 GiB": encodeMessage(1, new Uint8Array([255, 255, 255, 255, 0, 0, 0, 1, 1, 0])),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    await t.step(`sends ${name}: it is left`, () =>
      bench.survives(async () => {
        const connection = await runtime.next();
        await connection.write(bytes).catch(() => {});
        await connection.register().catch(() => {});
        await connection.closed();
        (await runtime.synchronized()).close();
      }));
  }

  await t.step("leaves frames half open", () =>
    bench.survives(async () => {
      for (let i = 0; i < 4; i++) {
        const connection = await runtime.next();
        await connection.write(new Uint8Array([0, 0, 0, 1, 0, 255, 255, 255, 1, 2, 3]));
        connection.close();
      }
      (await runtime.synchronized()).close();
    }));

  await t.step("asks without reading the answers: it is left", () =>
    bench.survives(async () => {
      const connection = await runtime.synchronized();
      connection.stopReading();
      const many = (i: number) =>
        concat(...Array.from({ length: 1000 }, (_, j) => {
          return request(2 * (1000 * i + j) + 1001, "NoSuchMethod", new Uint8Array(0));
        }));
      void flood(connection, many);
      // It comes again on another connection, while this one is still open from this side.
      const next = await Promise.race([runtime.synchronized(), late(15_000)]);
      assert.ok(next, `it was not left\n${bench.agent.log.slice(-2000)}`);
      connection.close();
      next.close();
    }));

  await t.step("tells of pods without end: it is left", () =>
    bench.survives(async () => {
      const connection = await runtime.next();
      await connection.register();
      await connection.configure();
      const pods = Array.from({ length: 3000 }, (_, i) => pod(`s${i}`, `p${i}-${"x".repeat(500)}`));
      const part = create(SynchronizeRequestSchema, { pods, more: true });
      await assert.rejects(async () => {
        for (let i = 0; i < 100; i++) {
          await connection.call("Synchronize", SynchronizeRequestSchema, part);
        }
      }, /exceeds 67108864 bytes|closed/);
      await connection.closed();
      (await runtime.synchronized()).close();
    }));

  await t.step(
    "starts thousands of pods that claim nothing: they pass",
    () =>
      bench.survives(async () => {
        const connection = await runtime.synchronized();
        for (let i = 0; i < 5000; i += 50) {
          await Promise.all(Array.from({ length: 50 }, (_, j) => {
            return connection.sandboxEvent("RunPodSandbox", pod(`n${i + j}`, `n${i + j}`));
          }));
        }
        connection.close();
      }),
  );

  await t.step(
    "gives a pod's UID to others, and starts it again and again",
    () =>
      bench.survives(async () => {
        const connection = await runtime.synchronized();
        await bench.claim("victim");
        const thief = { ...pod("thief", "thief"), uid: "uid-victim" };
        await assert.rejects(
          connection.sandboxEvent("RunPodSandbox", thief),
          /calls the pod uid-victim "thief", but claim default\/claim-victim is reserved for pod/,
        );
        // No sandbox has a namespace, so no network can be attached, and each is tried on.
        let refused = 0;
        for (let i = 0; i < 4200; i += 50) {
          await Promise.all(Array.from({ length: 50 }, (_, j) => {
            return connection.sandboxEvent("RunPodSandbox", pod(`v${i + j}`, "victim"))
              .catch((error) => {
                assert.match(error.message, /4096 sandboxes already have networks/);
                refused++;
              });
          }));
        }
        // Those whose namespace is found to be gone make room again meanwhile.
        assert.ok(refused <= 4200 - 4096);
        // Replays of one that is known are nothing new, and its end can be told twice.
        await connection.sandboxEvent("RunPodSandbox", pod("v0", "victim"));
        for (let i = 0; i < 4096; i++) {
          await connection.sandboxEvent("StopPodSandbox", pod(`v${i}`, "victim"));
        }
        await connection.sandboxEvent("StopPodSandbox", pod("v0", "victim"));
        await connection.sandboxEvent("StopPodSandbox", pod("never-seen", "victim"));
        connection.close();
      }),
  );

  await t.step("and after all that the agent serves one that behaves", async () => {
    const connection = await runtime.synchronized();
    await connection.sandboxEvent("RunPodSandbox", pod("good", "good"));
    connection.close();
  });
}

Deno.test("a kubelet that misbehaves", async (t) => {
  await using bench = await Bench.start();
  const { runtime, agent, folder } = bench;
  await runtime.synchronized();
  await agent.ready();
  await bench.kubelet.registered(driver);
  const { service } = socketPaths({ kubeletDir: join(folder, "kubelet"), driver });
  const dial = () => Deno.connect({ transport: "unix", path: service });
  /** A place may not be free yet when those who had it have just gone: a kubelet tries again too. */
  const prepares = async () => {
    for (let tries = 0; tries < 5; tries++) {
      if (await prepared().then(() => true, () => false)) return;
      await pause(100);
    }
    await prepared();
  };
  const prepared = async () => {
    const client = new GrpcClient(service);
    const unknown = { namespace: "default", name: "no-such", uid: "uid-x" };
    try {
      const { claims } = await client.call(
        DRAPlugin.method.nodePrepareResources,
        { claims: [unknown] as never },
        { timeout: 2_000 },
      );
      assert.match(claims["uid-x"]!.error, /is gone from the API server/);
    } finally {
      client.close();
    }
  };
  await prepares();
  const before = await steady(() => unixSockets(agent.pid));

  await t.step("opens hundreds of connections and says nothing", () =>
    bench.survives(async () => {
      const connections: Deno.UnixConn[] = [];
      for (let i = 0; i < 500; i++) connections.push(await dial());
      await pause(200);
      assert.ok(await unixSockets(agent.pid) <= before + 40, "each has a descriptor");
      for (const each of connections) each.close();
      await settled(() => unixSockets(agent.pid), (count) => count <= before);
      await prepares();
    }));

  await t.step("sends garbage and half a handshake", () =>
    bench.survives(async () => {
      for (let i = 0; i < 100; i++) {
        const socket = await dial();
        const bytes = i % 2
          ? new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").subarray(0, i % 25)
          : crypto.getRandomValues(new Uint8Array(200));
        await socket.write(bytes).catch(() => {});
        socket.close();
      }
      await prepares();
    }));

  await t.step("begins thousands of calls and ends none", () =>
    bench.survives(async () => {
      const socket = await dial();
      const session = connect("http://localhost", { createConnection: () => unixStream(socket) });
      session.on("error", () => {});
      for (let i = 0; i < 3000; i++) {
        const call = session.request({
          ":method": "POST",
          ":path": "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources",
          "content-type": "application/grpc",
          te: "trailers",
        });
        call.on("error", () => {});
        // Announces 200 KB and sends a little of it.
        call.write(Buffer.from([0, 0, 3, 13, 64, 1, 2, 3]));
      }
      await pause(500);
      await prepares();
      session.destroy();
      await prepares();
    }));

  await t.step("asks for thousands of claims at once", () =>
    bench.survives(async () => {
      const client = new GrpcClient(service);
      const calls = Array.from({ length: 2000 }, (_, i) =>
        client.call(DRAPlugin.method.nodePrepareResources, {
          claims: [{ namespace: "default", name: `c${i}`, uid: `u${i}` }] as never,
        }, { timeout: 60_000 }));
      const answers = await Promise.all(calls);
      assert.ok(answers.every(({ claims }, i) =>
        /is gone/.test(claims[`u${i}`]!.error)
      ));
      client.close();
    }));

  await t.step("sends messages that are too long", () =>
    bench.survives(async () => {
      const client = new GrpcClient(service);
      const claims = Array.from({ length: 10_000 }, (_, i) => ({
        namespace: "default",
        name: `c${i}`.repeat(50),
        uid: `u${i}`,
      })) as never;
      for (let i = 0; i < 20; i++) {
        await assert.rejects(
          client.call(DRAPlugin.method.nodePrepareResources, { claims }, { timeout: 10_000 }),
          /RESOURCE_EXHAUSTED|UNAVAILABLE/,
        );
      }
      client.close();
      await prepares();
    }));

  await t.step("opens health streams and reads none", () =>
    bench.survives(async () => {
      const ends = new AbortController();
      const clients = Array.from({ length: 5 }, () => new GrpcClient(service));
      const streams = clients.flatMap((client) =>
        Array.from({ length: 50 }, () =>
          client.stream(DRAResourceHealth.method.nodeWatchResources, {}, ends.signal))
      );
      await Promise.all(streams.map((stream) =>
        stream.next()
      ));
      await pause(500);
      await prepares();
      ends.abort();
      for (const client of clients) client.close();
    }));

  await t.step("and after all that no descriptor is left over", async () => {
    await settled(() => unixSockets(agent.pid), (count) => count <= before);
    await prepares();
  });
});

Deno.test("an agent that has no descriptor left goes on when it has", async () => {
  // It stands at some thirty.
  await using bench = await Bench.start({ descriptors: 48 });
  const { runtime, agent, folder } = bench;
  await runtime.synchronized();
  await agent.ready();
  await bench.kubelet.registered(driver);
  const { service } = socketPaths({ kubeletDir: join(folder, "kubelet"), driver });
  const connections = await Promise.all(
    Array.from({ length: 31 }, () => Deno.connect({ transport: "unix", path: service })),
  );
  await pause(1_000);
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${agent.pid}/fd`] }).output();
  const held = new TextDecoder().decode(stdout).trim().split("\n").length;
  assert.ok(held >= 46, `it has only ${held} descriptors: this test shows nothing`);
  for (const connection of connections) connection.close();
  for (let tries = 0;; tries++) {
    const unknown = { namespace: "default", name: "no-such", uid: "uid-x" };
    const answers = await bench.kubelet.prepare(driver, [unknown]).catch(() => undefined);
    if (answers?.["uid-x"]) break;
    assert.ok(tries < 50, `it does not answer any more\n${agent.log}`);
    await pause(100);
  }
});

/** A number, once it has been the same for 2 s: whatever opens late is open then. */
async function steady(read: () => Promise<number>): Promise<number> {
  let count = await read();
  for (let same = 0; same < 20; same++) {
    await pause(100);
    const now = await read();
    if (now !== count) [count, same] = [now, 0];
  }
  return count;
}

/** Waits until a number is as it should be; fails with the last one. */
async function settled(read: () => Promise<number>, good: (count: number) => boolean) {
  for (let tries = 0;; tries++) {
    const count = await read();
    if (good(count)) return;
    assert.ok(tries < 200, `it stays at ${count}`);
    await pause(25);
  }
}
