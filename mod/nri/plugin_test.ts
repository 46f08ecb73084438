import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  type Container,
  ContainerSchema,
  type PodSandbox,
  PodSandboxSchema,
} from "../../proto/gen/nri/nri_pb.ts";
import { systemClock } from "../async/clock.ts";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { NriRuntime, type NriRuntimeOptions } from "../simulator/nri_runtime.ts";
import { networkNamespace, type NriHandlers } from "./events.ts";
import { NriPlugin } from "./plugin.ts";

function aPod(id: string, more = ""): PodSandbox {
  return create(PodSandboxSchema, {
    id,
    name: `${id}${more}`,
    uid: `uid-${id}`,
    namespace: "default",
    linux: {
      namespaces: [
        { type: "ipc", path: "/proc/1/ns/ipc" },
        { type: "network", path: `/var/run/netns/${id}` },
      ],
    },
  });
}

function aContainer(id: string): Container {
  return create(ContainerSchema, {
    id,
    podSandboxId: id,
    name: "c",
    cdiDevices: [{ name: "x/y=z" }],
  });
}

class Recorder implements NriHandlers {
  readonly events: string[] = [];
  readonly containers: Container[] = [];
  during: (event: string, signal?: AbortSignal) => void | Promise<void> = () => {};
  #note(event: string, signal?: AbortSignal) {
    this.events.push(event);
    return this.during(event, signal);
  }
  synchronize(pods: PodSandbox[], containers: Container[]) {
    return this.#note(`sync ${pods.map(({ id }) => id)} ${containers.map(({ id }) => id)}`);
  }
  runPodSandbox(pod: PodSandbox) {
    return this.#note(`run ${pod.id} ${networkNamespace(pod)}`);
  }
  stopPodSandbox(pod: PodSandbox) {
    return this.#note(`stop ${pod.id}`);
  }
  removePodSandbox(pod: PodSandbox) {
    return this.#note(`remove ${pod.id}`);
  }
  createContainer(pod: PodSandbox, container: Container, signal: AbortSignal) {
    this.containers.push(container);
    return this.#note(`create ${pod.id} ${container.id}`, signal);
  }
}

interface Bench {
  readonly plugin: NriPlugin;
  readonly runtime: NriRuntime;
  readonly recorder: Recorder;
  readonly log: FakeLog;
  readonly states: boolean[];
  /** The events that were dealt with. */
  readonly handled: string[];
  readonly socketPath: string;
}

async function withPlugin(
  options: Partial<NriRuntimeOptions> & { readonly late?: boolean },
  body: (bench: Bench) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const socketPath = `${folder}/nri.sock`;
  const runtime = new NriRuntime({ socketPath, ...options });
  if (!options.late) runtime.start();
  const recorder = new Recorder();
  const log = new FakeLog();
  const states: boolean[] = [];
  const handled: string[] = [];
  const end = new AbortController();
  const plugin = new NriPlugin({
    socketPath,
    name: "net",
    index: "10",
    log,
    clock: systemClock,
    onState: (state) => states.push(state),
    onHandled: (event, seconds) => {
      assert.ok(seconds >= 0 && seconds < 10, `${event} took ${seconds}`);
      handled.push(event);
    },
  }, recorder);
  const running = plugin.run(end.signal);
  try {
    if (!options.late) await runtime.synchronized();
    await body({ plugin, runtime, recorder, log, states, handled, socketPath });
  } finally {
    end.abort();
    await running;
    runtime.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

for (const dedicatedCalls of [false, true]) {
  const how = dedicatedCalls ? "calls of their own (NRI 0.12)" : "StateChange (up to NRI 0.11)";
  Deno.test(`sandbox events that come as ${how} reach their handlers`, () =>
    withPlugin({ dedicatedCalls }, async ({ runtime, recorder, handled }) => {
      assert.deepEqual(runtime.plugins, ["10-net"]);
      await runtime.runPodSandbox(aPod("a"));
      await runtime.createContainer(aPod("a"), aContainer("c"));
      await runtime.stopPodSandbox(aPod("a"));
      await runtime.removePodSandbox(aPod("a"));
      assert.deepEqual(recorder.events, [
        "sync  ",
        "run a /var/run/netns/a",
        "create a c",
        "stop a",
        "remove a",
      ]);
      assert.deepEqual(handled, [
        "Synchronize",
        "RunPodSandbox",
        "CreateContainer",
        "StopPodSandbox",
        "RemovePodSandbox",
      ]);
      assert.equal(recorder.containers[0]?.cdiDevices[0]?.name, "x/y=z");
    }));
}

Deno.test("only the events that are handled are subscribed to", () =>
  withPlugin({}, ({ runtime }) => {
    assert.deepEqual(runtime.subscriptions, [0xf]);
    return Promise.resolve();
  }));

Deno.test("a synchronization in parts comes to the handler as one", () => {
  const pods = ["a", "b", "c", "d", "e"].map((id) => aPod(id));
  const containers = ["x", "y"].map(aContainer);
  return withPlugin(
    { partSize: 2, inventory: () => ({ pods, containers }) },
    ({ recorder, states }) => {
      assert.deepEqual(recorder.events, ["sync a,b,c,d,e x,y"]);
      assert.deepEqual(states, [true]);
      return Promise.resolve();
    },
  );
});

Deno.test("messages around and beyond the multiplexer's 4096 bytes arrive whole", () =>
  withPlugin({}, async ({ runtime, recorder }) => {
    for (const length of [3900, 3950, 4000, 4050, 4096, 4097, 5000, 100_000, 3_000_000]) {
      await runtime.runPodSandbox(aPod("a", "x".repeat(length)));
    }
    assert.equal(recorder.events.length, 1 + 9);
  }));

Deno.test("what a handler throws is the runtime's error, and the plugin stays", () =>
  withPlugin({}, async ({ runtime, recorder }) => {
    recorder.during = () => {
      throw new Error("no network for you");
    };
    await assert.rejects(runtime.createContainer(aPod("a"), aContainer("c")), {
      name: "TtrpcError",
      code: 2,
      message: "no network for you",
    });
    await assert.rejects(runtime.runPodSandbox(aPod("a")), /no network for you/);
    recorder.during = () => {};
    await runtime.runPodSandbox(aPod("b"));
    assert.deepEqual(runtime.plugins, ["10-net"]);
  }));

Deno.test("an error of more than 4096 bytes arrives whole", () =>
  withPlugin({}, async ({ runtime, recorder }) => {
    const message = "e".repeat(10_000);
    recorder.during = () => {
      throw new Error(message);
    };
    await assert.rejects(runtime.runPodSandbox(aPod("a")), { message });
  }));

Deno.test("a handler that heeds the signal answers before the runtime's time is over", () =>
  withPlugin({ requestTimeout: 400 }, async ({ runtime, recorder }) => {
    recorder.during = (_, signal) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("still being attached")));
      });
    await assert.rejects(
      runtime.createContainer(aPod("a"), aContainer("c")),
      /still being attached/,
    );
    assert.deepEqual(runtime.plugins, ["10-net"]);
  }));

Deno.test("a handler that does not end is answered for before the runtime's time is over", () =>
  withPlugin({ requestTimeout: 400 }, async ({ runtime, recorder }) => {
    recorder.during = () => new Promise(() => {});
    await assert.rejects(
      runtime.createContainer(aPod("a"), aContainer("c")),
      /not done within the runtime's 400 ms/,
    );
    assert.deepEqual(runtime.plugins, ["10-net"]);
  }));

Deno.test("the plugin registers and synchronizes anew when the runtime drops it", () =>
  withPlugin({}, async ({ runtime, recorder, states }) => {
    for (let i = 0; i < 3; i++) {
      runtime.disconnect();
      while (states.filter((state) => state).length < i + 2) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    assert.deepEqual(states, [true, false, true, false, true, false, true]);
    assert.equal(recorder.events.length, 4);
    await runtime.synchronized();
    await runtime.runPodSandbox(aPod("a"));
  }));

Deno.test("the end of a connection is told also where the runtime does not know what was dealt with", () => {
  const pods = [aPod("a")];
  return withPlugin(
    { late: true, requestTimeout: 400, inventory: () => ({ pods, containers: [] }) },
    async ({ runtime, recorder, states }) => {
      let late = 1;
      recorder.during = () => late-- > 0 ? new Promise(() => {}) : undefined;
      runtime.start();
      await runtime.synchronized();
      assert.deepEqual(recorder.events, ["sync a ", "sync a "]);
      assert.deepEqual(states, [false, true]);
    },
  );
});

Deno.test("the plugin waits for a runtime that starts later, and knows what is missing", () =>
  withPlugin({ late: true }, async ({ plugin, runtime, socketPath }) => {
    const missing = async (problem: string) => {
      while (plugin.lack()?.problem !== problem) await new Promise((done) => setTimeout(done, 5));
    };
    await missing(`the socket ${socketPath} does not exist`);
    assert.match(plugin.lack()!.whatToDo, /^enable NRI .*--nri-socket/);
    assert.equal(plugin.isConnected, false);
    // Renamed, or the listener would take its socket along.
    const dead = Deno.listen({ transport: "unix", path: `${socketPath}~` });
    await Deno.rename(`${socketPath}~`, socketPath);
    dead.close();
    await missing(`nothing listens on the socket ${socketPath}`);
    await Deno.remove(socketPath);
    runtime.start();
    await runtime.synchronized();
    while (plugin.lack()) await new Promise((done) => setTimeout(done, 5));
    assert.equal(plugin.isConnected, true);
    runtime.stop();
    while (!plugin.lack()) await new Promise((done) => setTimeout(done, 5));
    assert.equal(plugin.lack()?.usualFor, undefined);
  }));

Deno.test("NriPlugin refuses names and indices that runtimes refuse", () => {
  const make = (name: string, index: string) =>
    new NriPlugin(
      { socketPath: "/x", name, index, log: new FakeLog(), clock: systemClock },
      new Recorder(),
    );
  for (const name of ["", "a b", "a/b", "ä"]) assert.throws(() => make(name, "10"), RangeError);
  for (const index of ["", "1", "100", "a1"]) assert.throws(() => make("net", index), RangeError);
  make("network-dra_1.0+x", "99");
});

Deno.test("networkNamespace() finds the path, or none for a pod on the host's network", () => {
  assert.equal(networkNamespace(aPod("a")), "/var/run/netns/a");
  const host = create(PodSandboxSchema, { linux: { namespaces: [{ type: "ipc", path: "/x" }] } });
  assert.equal(networkNamespace(host), undefined);
  assert.equal(networkNamespace(create(PodSandboxSchema, {})), undefined);
});
