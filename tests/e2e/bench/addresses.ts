/**
 * Addresses of the cluster, against the IPAM plugin whereabouts, on the same real API server (`deno
 * task bench:addresses`): attachments a second, and how long each takes, while nodes attach at the
 * same time and a part of the range is in use. No kubelets and no pods: each side runs the process of
 * an IPAM plugin for each attachment. The sides take turns; nothing is asserted. `--attachments N`,
 * `--nodes N`.
 */
import { join } from "node:path";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { errorMessage } from "../../../mod/async/error_message.ts";
import { Limiter } from "../../../mod/async/limiter.ts";
import { fetchCniPlugins } from "../../../mod/simulator/cni_plugins.ts";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
} from "../../../mod/simulator/private_node.ts";
import { percentile, time } from "../../bench/statistics.ts";
import { fetchHelmRender } from "../../support/helm_render.ts";
import { ControlPlane, fetchEtcd } from "../control_plane.ts";
import { endWithRunner, runInside } from "../inside.ts";
import { fetchKubernetes, KUBERNETES } from "../kubernetes_programs.ts";
import { fetchWhereabouts } from "../whereabouts_program.ts";
import type { AddressSide } from "./address_side.ts";
import { OwnSide } from "./own_side.ts";
import { SIZE } from "./range.ts";
import { WhereaboutsSide } from "./whereabouts_side.ts";

const { values } = parseArgs({
  options: {
    attachments: { type: "string", default: "48" },
    nodes: { type: "string", default: "4" },
  },
});
const NODES = Array.from({ length: Number(values.nodes) }, (_, i) => `node-${i}`);
const ATTACHMENTS = Number(values.attachments);
/** Attachments of a node at the same time, as an agent does by default on four cores. */
const WIDTH = 8;
/** The parts of the range that are in use before. */
const IN_USE = [0.1, 0.5, 0.95];
/** For the agents' watches, until they have seen what fills the range, in milliseconds. */
const SETTLE = 2_000;

/** Attachments of all nodes at once. */
interface Burst {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
  /** Addresses that two attachments have. */
  readonly twice: number;
  readonly problem: string | undefined;
}

/** How many attachments there have been. */
let attached = 0;

async function attachAtOnce(side: AddressSide, count: number): Promise<Burst> {
  const limiters = NODES.map(() => new Limiter(WIDTH));
  const times: number[] = [];
  const addresses: string[] = [];
  const problems: string[] = [];
  const ms = await time(() =>
    Promise.all(Array.from({ length: count }, (_, i) => {
      const at = i % NODES.length;
      const attachment = { node: NODES[at]!, id: `${++attached}` };
      return limiters[at]!.run(async () => {
        try {
          times.push(await time(async () => addresses.push(await side.attach(attachment))));
        } catch (error) {
          problems.push(errorMessage(error));
        }
      });
    }))
  );
  return {
    perSecond: times.length * 1000 / ms,
    p50: times.length === 0 ? NaN : percentile(times, 50),
    p99: times.length === 0 ? NaN : percentile(times, 99),
    failed: problems.length,
    twice: addresses.length - new Set(addresses).size,
    problem: problems[0],
  };
}

/** Takes addresses of the range, all over it, as pods that came and went leave them. */
async function fill(side: AddressSide, part: number): Promise<void> {
  const used = await side.used();
  const free = Array.from({ length: SIZE }, (_, i) => i + 1).filter((each) => !used.has(each));
  const count = Math.max(0, Math.floor(part * SIZE) - used.size);
  for (let i = 0; i < count; i++) {
    const at = i + Math.floor(Math.random() * (free.length - i));
    [free[i], free[at]] = [free[at]!, free[i]!];
  }
  await side.occupy(free.slice(0, count));
}

async function measure(own: AddressSide, whereabouts: AddressSide): Promise<void> {
  console.log("the API server serves both; each node attaches once");
  // An agent that follows a Network has listed its addresses before.
  for (const side of [own, whereabouts]) await attachAtOnce(side, NODES.length);
  console.log(
    "\n| in use before | side | attachments a second | p50 | p99 | failed | given twice |\n" +
      "| --- | --- | --- | --- | --- | --- | --- |",
  );
  const ratios: string[] = [];
  for (const [i, part] of IN_USE.entries()) {
    const ms = await time(async () => {
      for (const side of [own, whereabouts]) await fill(side, part);
    });
    console.error(`filled to ${part * 100} % in ${(ms / 1000).toFixed(1)} s`);
    await new Promise((resolve) => setTimeout(resolve, SETTLE));
    const bursts = new Map<AddressSide, Burst>();
    for (const side of i % 2 === 0 ? [own, whereabouts] : [whereabouts, own]) {
      const burst = await attachAtOnce(side, ATTACHMENTS);
      bursts.set(side, burst);
      console.log(
        `| ${part * 100} % | ${side.name} | ${burst.perSecond.toFixed(1)} | ` +
          `${inMs(burst.p50)} | ${inMs(burst.p99)} | ${burst.failed} | ${burst.twice} |`,
      );
    }
    const [ours, theirs] = [bursts.get(own)!, bursts.get(whereabouts)!];
    ratios.push(
      `${part * 100} % in use: ${(ours.perSecond / theirs.perSecond).toFixed(1)} times as many ` +
        `attachments a second, p99 ${(theirs.p99 / ours.p99).toFixed(1)} times as short` +
        [...bursts].map(([{ name }, { problem }]) => problem ? `; ${name}: ${problem}` : "").join(
          "",
        ),
    );
  }
  console.log(`\n${own.name} against ${whereabouts.name}:\n${ratios.join("\n")}`);
}

async function inside(): Promise<void> {
  const programs = await fetchKubernetes(KUBERNETES);
  if ("missing" in programs) throw new Error(programs.missing);
  const whereabouts = await fetchWhereabouts();
  if ("missing" in whereabouts) throw new Error(whereabouts.missing);
  const [plugins] = await fetchCniPlugins();
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const logs = join(folder, "log");
  await Deno.mkdir(logs);
  await using running = new AsyncDisposableStack();
  const plane = await ControlPlane.start({ programs, folder, logs });
  running.defer(() => plane.stop());
  const [api, kubeconfig] = [plane.api, await plane.adminKubeconfig()];
  await measure(
    await OwnSide.start({
      ...{ api, kubeconfig, nodes: NODES, running },
      program: join(plugins!, "static"),
    }),
    await WhereaboutsSide.start({
      ...{ api, kubeconfig, folder },
      program: whereabouts.path,
    }),
  );
}

function inMs(ms: number): string {
  return `${ms.toFixed(0)} ms`;
}

/** Why it cannot run here, in words for the user. */
async function obstacleHere(): Promise<string | undefined> {
  const progress = (line: string) => console.log(line);
  const obstacle = await privateNodeObstacle();
  if (obstacle) return obstacle;
  await fetchEtcd({ progress });
  await fetchCniPlugins({ progress });
  for (
    const found of [
      await fetchKubernetes(KUBERNETES, { progress }),
      await fetchHelmRender({ progress }),
      await fetchWhereabouts({ progress }),
    ]
  ) if ("missing" in found) return String(found.missing);
  return undefined;
}

async function main(): Promise<number> {
  if (inPrivateNode()) {
    void endWithRunner();
    await furnishPrivateNode();
    await inside();
    return 0;
  }
  const obstacle = await obstacleHere();
  if (obstacle) {
    console.error(`the benchmark cannot run here: ${obstacle}`);
    return 1;
  }
  console.log(`load of the machine before: ${loadavg().map((load) => load.toFixed(2)).join(" ")}`);
  const args = Deno.args;
  return await runInside(import.meta.filename!, { env: {}, print: console.log, args }) ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
