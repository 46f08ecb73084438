/**
 * The runtime's side of NRI as containerd and CRI-O have it is the oracle: this project's plugin must
 * work with every release that runtimes in use were built with.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  fetchNriOracles,
  NRI_VERSIONS,
  NriOracle,
  type NriOracleOptions,
  type NriVersion,
} from "../support/nri_oracle.ts";
import { RunningPlugin } from "../support/nri_plugin.ts";

const oracles = await fetchNriOracles({ progress: (line) => console.error(line) });
const without = "missing" in oracles ? ` (not run: ${oracles.missing})` : "";

/** NRI 0.6 sends messages of any length. */
const SINCE_0_7 = NRI_VERSIONS.filter((version) => version !== "v0.6.1");

/** A test that takes longer has failed, in milliseconds. */
const LIMIT = 30_000;

interface Bench {
  readonly oracle: NriOracle;
  readonly plugin: RunningPlugin;
  /** Ends the runtime at once and starts it again. */
  restart(): Promise<NriOracle>;
}

function nriTest(
  name: string,
  body: (bench: Bench) => Promise<void>,
  { versions = NRI_VERSIONS, ...options }: Partial<NriOracleOptions> & {
    readonly versions?: readonly NriVersion[];
  } = {},
) {
  Deno.test({
    name: `${name}${without}`,
    ignore: "missing" in oracles,
    fn: async (t) => {
      assert.ok(!("missing" in oracles));
      for (const version of versions) {
        await t.step(`NRI ${version}`, () => withBench(oracles[version], { body, options }));
      }
    },
  });
}

async function withBench(program: string, { body, options }: {
  readonly body: (bench: Bench) => Promise<void>;
  readonly options: Partial<NriOracleOptions>;
}) {
  const folder = await Deno.makeTempDir();
  const socketPath = join(folder, "nri.sock");
  const start = () => NriOracle.start(program, { ...options, socketPath });
  let oracle = await start();
  const plugin = new RunningPlugin(socketPath);
  const restart = async () => {
    await oracle.kill();
    return oracle = await start();
  };
  // Whoever waits for the runtime learns that it is gone.
  const limit = setTimeout(() => oracle.kill(), LIMIT);
  try {
    await body({ oracle, plugin, restart });
  } finally {
    clearTimeout(limit);
    await plugin.stop();
    await oracle.kill();
    await Deno.remove(folder, { recursive: true });
  }
}

nriTest("the plugin registers, is configured and synchronized", async ({ oracle, plugin }) => {
  assert.equal(await oracle.synchronized(), "");
  assert.equal(await oracle.connected(), "10-net");
  const containers = [0, 1, 2].map((id) => `container-of-${id}`);
  assert.deepEqual(plugin.recorder.events, [`sync 0,1,2 ${containers}`]);
  assert.deepEqual(plugin.states, [true]);
}, { pods: 3 });

nriTest("each event comes to its handler, and is answered", async ({ oracle, plugin }) => {
  await oracle.connected();
  for (const event of ["run", "create", "stop", "remove"] as const) {
    assert.equal(await oracle.tell(event, { id: "a" }), "");
  }
  assert.deepEqual(plugin.recorder.events, [
    "sync  ",
    "run a /var/run/netns/a",
    "create a container-of-a",
    "stop a",
    "remove a",
  ]);
});

nriTest("messages of any length come whole", async ({ oracle, plugin }) => {
  await oracle.connected();
  // Those in a row cross the 4096 bytes of one frame: what comes with the name takes about 190.
  const sizes = [...range(3850, 4000), 5000, 100_000, 3_000_000];
  for (const size of sizes) assert.equal(await oracle.tell("run", { id: "a", size }), "");
  assert.deepEqual(plugin.recorder.pods.map(({ name }) => name.length), sizes);
  assert.equal(await oracle.tell("create", { id: "a", size: 1_000_000 }), "");
  assert.equal(plugin.recorder.containers[0]?.name.length, 1_000_000);
});

nriTest("errors of any length come whole, and the plugin stays", async ({ oracle, plugin }) => {
  await oracle.connected();
  plugin.recorder.during = (event) => {
    const [, size] = event.split(" ");
    throw new Error("e".repeat(Number(size)));
  };
  // Those in a row cross the 4096 bytes of one frame: header and status take about 20.
  for (const size of [1, ...range(4060, 4100), 5000, 100_000]) {
    const error = await oracle.tell(size % 2 ? "run" : "create", { id: `${size}` });
    assert.equal(error.match(/e*$/)?.[0].length, size);
  }
  assert.deepEqual(plugin.states, [true]);
});

nriTest(
  "a message that is too long to be sent leaves the plugin connected",
  async ({ oracle, plugin }) => {
    await oracle.connected();
    assert.match(
      await oracle.tell("run", { id: "a", size: 5_000_000 }),
      /ResourceExhausted .* exceeds? (4 MiB|maximum message size)/,
    );
    assert.equal(await oracle.tell("run", { id: "b" }), "");
    assert.deepEqual(plugin.recorder.pods.map(({ id }) => id), ["b"]);
  },
  { versions: SINCE_0_7 },
);

nriTest("an answer comes before the time is over, announced or not", async ({ oracle, plugin }) => {
  await oracle.connected();
  plugin.recorder.during = (_, signal) =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("still being attached")));
    });
  assert.match(await oracle.tell("create", { id: "a" }), /still being attached$/);
  plugin.recorder.during = () => new Promise(() => {});
  assert.match(
    await oracle.tell("run", { id: "b" }),
    /not done within the runtime's (9\d\d|1000) ms$/,
  );
  plugin.recorder.during = () => {};
  assert.equal(await oracle.tell("create", { id: "c" }), "");
  assert.deepEqual(plugin.recorder.pods.map(({ id }) => id), ["a", "b", "c"]);
  assert.deepEqual(plugin.states, [true]);
}, { timeout: 1000 });

// Up to NRI 0.6 in one message, however long; since then in parts.
nriTest("what there is comes when it is more than 4 MiB", async ({ oracle, plugin }) => {
  assert.equal(await oracle.synchronized(), "");
  assert.equal(await oracle.connected(), "10-net");
  const ids = range(0, 5000);
  assert.deepEqual(plugin.recorder.events, [
    `sync ${ids} ${ids.map((id) => `container-of-${id}`)}`,
  ]);
}, { pods: 5000, size: 1000, timeout: 10_000 });

nriTest("a plugin that did not synchronize connects anew", async ({ oracle, plugin }) => {
  let failures = 1;
  plugin.recorder.during = (event) => {
    if (event.startsWith("sync") && failures-- > 0) throw new Error("not now");
  };
  assert.equal(await oracle.connected(), "10-net");
  assert.equal(await oracle.tell("run", { id: "a" }), "");
  assert.deepEqual(plugin.recorder.events, ["sync  ", "sync  ", "run a /var/run/netns/a"]);
  assert.deepEqual(plugin.states, [false, true]);
});

nriTest("a plugin that synchronized too late connects anew", async ({ oracle, plugin }) => {
  let busy = 1;
  plugin.recorder.during = (event) => {
    if (!event.startsWith("sync") || busy-- <= 0) return;
    // No timer tells of the time that passes.
    for (const end = performance.now() + 1200; performance.now() < end;);
  };
  assert.equal(await oracle.connected(), "10-net");
  assert.equal(await oracle.tell("run", { id: "a" }), "");
  assert.deepEqual(plugin.recorder.events, ["sync  ", "sync  ", "run a /var/run/netns/a"]);
  assert.deepEqual(plugin.states, [false, true]);
}, { timeout: 1000 });

nriTest("a runtime that restarts gets the plugin back", async ({ oracle, plugin, restart }) => {
  await oracle.connected();
  for (const times of [2, 3]) {
    const anew = await restart();
    assert.equal(await anew.connected(), "10-net");
    await plugin.synchronized(times);
    assert.equal(await anew.tell("run", { id: `after-${times}` }), "");
  }
  assert.deepEqual(plugin.recorder.pods.map(({ id }) => id), ["after-2", "after-3"]);
  assert.deepEqual(plugin.states, [true, false, true, false, true]);
});

/** The whole numbers from `first` to the one before `end`. */
function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, i) => first + i);
}
