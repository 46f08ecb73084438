/**
 * The benchmark (`deno task bench [PART…]`): the agent as a separate process, from the bundle, with
 * real CNI plugins in a private node. Every figure stands beside its baseline or its limit, from the
 * same run; nothing is asserted.
 */
import { create } from "@bufbuild/protobuf";
import { join } from "node:path";
import { ContainerSchema, type PodSandbox, PodSandboxSchema } from "../../proto/gen/nri/nri_pb.ts";
import type { RuntimeConfig } from "../../mod/agent/model.ts";
import { parseNetworkList } from "../../mod/claim/network_list.ts";
import { PluginFolders } from "../../mod/cni/plugin_folders.ts";
import { pluginRunner } from "../../mod/cni/plugin_runner.ts";
import { Plugins } from "../../mod/cni/plugins.ts";
import { runProgram } from "../../mod/cni/program.ts";
import { CniRunner } from "../../mod/cni/runner.ts";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { SimulatedNode } from "../../mod/simulator/node.ts";
import {
  furnishPrivateNode,
  inPrivateNode,
  ip,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../../mod/simulator/private_node.ts";
import { AgentProcess, bundleArguments, pluginArguments } from "../support/agent_process.ts";
import { fetchChromium } from "../support/browser.ts";
import { macvlan, storeClaim } from "../support/claims.ts";
import {
  ADDRESSES,
  measureAddressMemory,
  measureTaking,
  NETWORKS,
  NODES as ADDRESSED_NODES,
} from "./addresses.ts";
import { CLAIMS, measureCluster, NODES } from "./cluster.ts";
import { ATTACHED, measureRecovery } from "./recovery.ts";
import { pairwise, percentile, type Side, time } from "./statistics.ts";
import { measureStatus, SHOWN } from "./status.ts";
import { MAP_SIZE, measureMap } from "./ui.ts";
import { measureWebhook } from "./webhook.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const DRIVER = "dra.networking";
const WIDTH = 4;
const BURST = 50;
const ROUNDS = 15;
const never = new AbortController().signal;

interface Row {
  readonly what: string;
  readonly measured: string;
  readonly baseline: string;
  readonly goal: string;
}

const rows: Row[] = [];
function report(
  what: string,
  measured: string,
  { baseline = "", goal }: { baseline?: string; goal: string },
) {
  rows.push({ what, measured, baseline, goal });
  console.error(`${what}: ${measured}${baseline && ` (${baseline})`}; goal ${goal}`);
}

const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

class Bench {
  readonly node: SimulatedNode;
  readonly runner: CniRunner;
  agent!: AgentProcess;
  #pods = 0;

  constructor(readonly folder: string, readonly cniPath: string) {
    this.node = new SimulatedNode({ name: "node-1", folder, driver: DRIVER, step: () => {} });
    this.runner = new CniRunner(
      new Plugins({
        folders: new PluginFolders({ cniPath: [cniPath] }),
        timeout: 30_000,
        run: pluginRunner({
          cniPath: [cniPath],
          netnsDir: "/var/run/netns",
          run: runProgram,
        }),
      }),
    );
  }

  /** Milliseconds until both sockets serve. */
  async startAgent(...flags: readonly string[]): Promise<number> {
    const { paths } = this.node;
    const began = performance.now();
    this.agent = new AgentProcess([
      ...["--node-name", "node-1", "--driver-name", DRIVER, "--concurrency", `${WIDTH}`],
      ...["--kubelet-dir", paths.kubeletDir, "--nri-socket", paths.nriSocket],
      ...["--state-dir", paths.stateDir, "--cdi-dir", paths.cdiDir],
      ...["--kubeconfig", paths.kubeconfig, "--cni-path", this.cniPath, "--log-level", "info"],
      ...flags,
    ], { args: bundleArguments() });
    await this.agent.ready();
    return performance.now() - began;
  }

  /** The agent's resident memory in MB. */
  async memory(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.agent.pid}/status`);
    return Number(status.match(/VmRSS:\s+(\d+)/)![1]) / 1024;
  }

  async pod(netns: string): Promise<PodSandbox> {
    const name = `pod-${++this.#pods}`;
    await ip(["netns", "add", netns]).catch(() => {});
    return create(PodSandboxSchema, {
      id: crypto.randomUUID().replaceAll("-", ""),
      name,
      uid: `uid-${name}`,
      namespace: "default",
      linux: { namespaces: [{ type: "network", path: `/var/run/netns/${netns}` }] },
    });
  }

  claim({ name, uid }: PodSandbox, named?: string) {
    const networks = [{ name: "lan", named, subnet: 1, config: { ipam: IPAM } }];
    return storeClaim(this.node.api, {
      name: `claim-${name}`,
      driver: DRIVER,
      networks,
      pods: [{ name, uid }],
    });
  }

  /** @param named the Network of the cluster that the claim names; its own configuration if undefined */
  async prepare(pod: PodSandbox, named?: string) {
    const claim = this.claim(pod, named);
    const answers = await this.node.kubelet.prepare(DRIVER, [claim]);
    const { error } = answers[claim.uid]!;
    if (error) throw new Error(error);
    return claim;
  }

  /** From RunPodSandbox to the gate open. */
  async attach(pod: PodSandbox): Promise<void> {
    await this.node.runtime.runPodSandbox(pod);
    const container = create(ContainerSchema, { id: pod.id, podSandboxId: pod.id, name: "c" });
    for (;;) {
      try {
        return await this.node.runtime.createContainer(pod, container);
      } catch (error) {
        if (!/still being attached/.test(String(error))) throw error;
      }
    }
  }

  async remove(pod: PodSandbox, claim: Awaited<ReturnType<Bench["prepare"]>>): Promise<void> {
    await this.node.runtime.stopPodSandbox(pod);
    const answers = await this.node.kubelet.unprepare(DRIVER, [claim]);
    if (answers[claim.uid]?.error) throw new Error(answers[claim.uid]!.error);
    this.node.api.delete("default", claim.name);
  }

  runtimeConfig(pod: PodSandbox): RuntimeConfig {
    const netns = pod.linux!.namespaces[0]!.path;
    const args = [["IgnoreUnknown", "true"]] as const;
    const { namespace, name, uid } = pod;
    const claim = { namespace, name: `claim-${name}`, uid: `claim-${uid}` };
    const of = { claim, pod: { namespace, name, uid } };
    return { containerID: pod.id, netns, ifName: "net1", args, capabilityArgs: {}, ...of };
  }
}

const IPAM = { type: "host-local", ranges: [[{ subnet: "10.64.0.0/16" }]] };
const NETWORK = parseNetworkList(
  macvlan({ name: "lan", subnet: 1, config: { ipam: IPAM } }),
  "config",
);

async function start(bench: Bench): Promise<void> {
  const starts: number[] = [];
  for (let i = 0; i < 5; i++) {
    await bench.agent.end();
    starts.push(await bench.startAgent());
  }
  report("start until both sockets serve, median of 5", ms(percentile(starts, 50)), {
    goal: "under 600 ms",
  });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  report("resident memory idle", `${(await bench.memory()).toFixed(0)} MB`, {
    goal: "under 110 MB",
  });
}

async function hooks(bench: Bench): Promise<void> {
  const plain = await bench.pod("hooks");
  const without: number[] = [];
  for (let i = 0; i < 500; i++) {
    without.push(await time(() => bench.node.runtime.runPodSandbox(plain)));
    await bench.node.runtime.stopPodSandbox(plain);
  }
  report("RunPodSandbox hook, pod without claims, p50", ms(percentile(without, 50)), {
    baseline: `p99 ${ms(percentile(without, 99))}`,
    goal: "under 1 ms",
  });
  const prepares: number[] = [];
  const withClaims: number[] = [];
  for (let i = 0; i < 40; i++) {
    const pod = await bench.pod("hooks");
    const began = performance.now();
    const claim = await bench.prepare(pod);
    prepares.push(performance.now() - began);
    withClaims.push(await time(() => bench.node.runtime.runPodSandbox(pod)));
    await bench.attach(pod);
    await bench.remove(pod, claim);
  }
  report("RunPodSandbox hook, pod with a claim, p50", ms(percentile(withClaims, 50)), {
    baseline: `p99 ${ms(percentile(withClaims, 99))}`,
    goal: "under 3 ms",
  });
  report("Prepare of one claim, p50", ms(percentile(prepares, 50)), {
    baseline: `p99 ${ms(percentile(prepares, 99))}`,
    goal: "under 10 ms",
  });
}

async function oneAttachment(bench: Bench): Promise<void> {
  const pod = await bench.pod("one");
  const { ours, theirs } = await pairwise(40, {
    ours: async (measure) => {
      const own = { ...(await bench.pod("one")) } as PodSandbox;
      const claim = await bench.prepare(own);
      await measure(() => bench.attach(own));
      await bench.remove(own, claim);
    },
    theirs: async (measure) => {
      const runtime = bench.runtimeConfig(pod);
      let result;
      await measure(async () => {
        ({ result } = await bench.runner.add(NETWORK, runtime, { signal: never }));
      });
      await bench.runner.del(NETWORK, runtime, result, never);
    },
  });
  const [own, direct] = [percentile(ours, 50), percentile(theirs, 50)];
  report("one attachment, from RunPodSandbox to the gate open, p50", ms(own), {
    baseline: `the plugin alone ${ms(direct)}: ${own >= direct ? "+" : ""}${
      (own - direct).toFixed(1)
    } ms`,
    goal: "at most +10 ms",
  });
}

/** The Network, and the claims' own configuration, are the same but for where addresses come from. */
async function addressed(bench: Bench): Promise<void> {
  const { ipam: _, ...plugin } = NETWORK.plugins[0]!;
  bench.node.storeNetworks([{
    apiVersion: "dra.networking/v1alpha1",
    kind: "Network",
    metadata: { name: "wide" },
    spec: {
      config: { cniVersion: NETWORK.cniVersion, plugins: [plugin] },
      addresses: { pools: [{ subnet: "10.65.0.0/16" }] },
    },
  }], { namespaces: [] });
  await bench.agent.end();
  await bench.startAgent("--network-objects=true");
  const attachment = (named?: string): Side => async (measure) => {
    const pod = await bench.pod("addressed");
    const claim = await bench.prepare(pod, named);
    await measure(() => bench.attach(pod));
    await bench.remove(pod, claim);
  };
  const { ours, theirs } = await pairwise(40, { ours: attachment("wide"), theirs: attachment() });
  const [own, local] = [percentile(ours, 50), percentile(theirs, 50)];
  report("one attachment with an address of the cluster, p50", ms(own), {
    baseline: `with host-local ${ms(local)}: ${own >= local ? "+" : ""}${
      (own - local).toFixed(1)
    } ms`,
    goal: "at most +8 ms",
  });
  await bench.agent.end();
  await bench.startAgent();
}

async function burst(bench: Bench): Promise<void> {
  const pods: PodSandbox[] = [];
  for (let i = 0; i < BURST; i++) pods.push(await bench.pod(`burst${i}`));
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const fresh: PodSandbox[] = [];
    for (let i = 0; i < BURST; i++) fresh.push(await bench.pod(`burst${i}`));
    const claims = await Promise.all(fresh.map((pod) => bench.prepare(pod)));
    ours.push(await time(() => Promise.all(fresh.map((pod) => bench.attach(pod)))));
    await Promise.all(fresh.map((pod, i) => bench.remove(pod, claims[i]!)));

    const waiting = [...pods];
    const lane = async () => {
      for (let pod = waiting.shift(); pod; pod = waiting.shift()) {
        await bench.runner.add(NETWORK, bench.runtimeConfig(pod), { signal: never });
      }
    };
    theirs.push(await time(() => Promise.all(Array.from({ length: WIDTH }, lane))));
    for (const pod of pods) {
      await bench.runner.del(NETWORK, bench.runtimeConfig(pod), undefined, never);
    }
  }
  const [own, direct] = [percentile(ours, 50), percentile(theirs, 50)];
  report(`${BURST} sandboxes at once, width ${WIDTH}, median of ${ROUNDS}`, ms(own), {
    baseline: `the plugins alone ${ms(direct)}: ${(own / direct).toFixed(2)} x`,
    goal: "at most 1.15 x",
  });
}

async function endurance(bench: Bench): Promise<void> {
  const lanes = 4;
  const cycle = async (count: number) => {
    let left = count;
    await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
      while (left-- > 0) {
        const pod = await bench.pod(`lane${lane}`);
        const claim = await bench.prepare(pod);
        await bench.attach(pod);
        await bench.remove(pod, claim);
      }
    }));
    return await bench.memory();
  };
  const half = await cycle(500);
  const full = await cycle(500);
  report("resident memory after 1,000 attach and detach", `${full.toFixed(0)} MB`, {
    baseline: `after 500: ${half.toFixed(0)} MB`,
    goal: "under 150 MB, no longer growing",
  });
}

async function recovery(): Promise<void> {
  const { serving, settled } = await measureRecovery();
  report(`SIGKILL with ${ATTACHED} attached, from the start until all is in order`, ms(settled), {
    baseline: `both sockets serve after ${ms(serving)}`,
    goal: "under 5 s",
  });
}

async function largeCluster(): Promise<void> {
  const program = [Deno.execPath(), ...pluginArguments()];
  const { seconds, user, processor, memory } = await measureCluster(program);
  report(
    `cluster-status of ${NODES} nodes and ${CLAIMS} claims`,
    `${seconds.toFixed(1)} s, ${memory.toFixed(0)} MB`,
    {
      baseline: `processor ${processor.toFixed(1)} s, ${user.toFixed(1)} s of it in user mode`,
      goal: "under 5 s and 500 MB",
    },
  );
}

async function status(): Promise<void> {
  const { command, process, asked, quiet } = await measureStatus();
  report(`status with ${SHOWN.toLocaleString("en")} attached, p50`, ms(command), {
    baseline: `version, which asks nobody: ${ms(process)}`,
    goal: "under 500 ms",
  });
  report("RunPodSandbox hook while status is asked for all the time, p99", ms(asked), {
    baseline: `while nobody asks ${ms(quiet)}: ${asked >= quiet ? "+" : ""}${
      (asked - quiet).toFixed(2)
    } ms`,
    goal: "at most +1 ms",
  });
}

async function webhook(): Promise<void> {
  const { ours, theirs } = await measureWebhook();
  const p = (samples: readonly number[], percent: number) => ms(percentile(samples, percent));
  report("review of a claim by the webhook, p50", `${p(ours, 50)}, p99 ${p(ours, 99)}`, {
    baseline: `a handler that judges nothing ${p(theirs, 50)}, p99 ${p(theirs, 99)}`,
    goal: "under 10 ms",
  });
}

async function map(): Promise<void> {
  const { dragged, zoomed, still, longest, shown } = await measureMap();
  const rate = (value: number) => `${value.toFixed(0)} frames/s`;
  const { nodes, pods } = MAP_SIZE;
  report(
    `map of ${nodes} nodes and ${pods.toLocaleString("en")} pods, dragged and zoomed`,
    `${rate(dragged)} and ${rate(zoomed)}`,
    { baseline: `still: ${rate(still)}; longest gap ${ms(longest)}`, goal: "30 frames/s or more" },
  );
  report("from the page's address to the map", ms(shown), { goal: "under 10 s" });
}

async function addresses(): Promise<void> {
  // The last one takes all that are left.
  for (const [used, most] of [[0.1, 2_000], [0.5, 2_000], [0.95, 100], [0.95, 200]] as const) {
    const taken = await measureTaking({ used, most });
    const { attachments, failed, twice, conflicts, beyond, p50, p99, problem } = taken;
    report(
      `${
        attachments.toLocaleString("en")
      } attachments at once on ${ADDRESSED_NODES} nodes, a /20 of ` +
        `which ${100 * used} % are taken: requests for an address beyond its create`,
      beyond.toFixed(2),
      {
        baseline: `${conflicts} conflicts; p50 ${ms(p50)}, p99 ${ms(p99)}; ${failed} failed, ` +
          `${twice} taken twice${problem === undefined ? "" : `: ${problem}`}`,
        goal: "at most 1.3; 0 failed",
      },
    );
  }
  const { agent, holder } = await measureAddressMemory();
  report(
    `memory for ${NETWORKS.toLocaleString("en")} Networks and ${
      ADDRESSES.toLocaleString("en")
    } addresses`,
    `${agent.toFixed(1)} MB`,
    { baseline: `the agent that holds the Lease: ${holder.toFixed(1)} MB more`, goal: "15 MB" },
  );
}

async function main(): Promise<number> {
  if (!inPrivateNode()) {
    const obstacle = await privateNodeObstacle();
    if (obstacle !== undefined) {
      console.error(`the benchmark cannot run here: ${obstacle}`);
      return 1;
    }
    await fetchCniPlugins({ progress: console.error });
    const browser = await fetchChromium({ progress: console.error });
    if ("missing" in browser) console.error(browser.missing);
    const built = await new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "build"],
      cwd: ROOT,
      stdout: "null",
    }).output();
    if (!built.success) return 1;
    const args = ["run", "--allow-all", "--quiet", import.meta.filename!, ...Deno.args];
    return (await spawnInPrivateNode(Deno.execPath(), { args }).status).code;
  }
  await furnishPrivateNode();
  const [cniPath] = await fetchCniPlugins();
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const bench = new Bench(folder, cniPath!);
  await bench.node.start();
  await bench.startAgent();
  const parts = {
    start,
    hooks,
    oneAttachment,
    addressed,
    burst,
    endurance,
    recovery,
    largeCluster,
    status,
    webhook,
    map,
    addresses,
  };
  for (const [name, part] of Object.entries(parts)) {
    if (Deno.args.length === 0 || Deno.args.includes(name)) await part(bench);
  }
  await bench.agent.end();
  await bench.node.stop();
  console.log("| what | measured | beside | goal |\n|---|---|---|---|");
  for (const row of rows) {
    console.log(`| ${row.what} | ${row.measured} | ${row.baseline} | ${row.goal} |`);
  }
  await Deno.remove(join(folder), { recursive: true });
  return 0;
}

if (import.meta.main) Deno.exit(await main());
