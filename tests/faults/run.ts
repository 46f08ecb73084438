/**
 * The fault tests (`deno task faults --ops N --seed S`): the agent as a separate process, with
 * real CNI plugins in a private node, under a random schedule that the seed determines. Ends with
 * the line `violations: N`; the exit code is 0 when N is.
 */
import { parseArgs } from "node:util";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import {
  furnishPrivateNode,
  inPrivateNode,
  privateNodeObstacle,
  spawnInPrivateNode,
} from "../../mod/simulator/private_node.ts";
import { fetchContainerd } from "../support/containerd.ts";
import { bundleAgent } from "./agent.ts";
import { SABOTAGES } from "./control.ts";
import { play, type PlayOptions } from "./play.ts";
import { summary } from "./summary.ts";

const USAGE =
  `usage: deno task faults [--ops N] [--containerd N] [--minutes M] [--seed S] [--sabotage HOW] [--logs FOLDER]

  --ops N          scheduled operations at least (500)
  --containerd N   so many more with a real containerd (0)
  --minutes M      ends the run when so many are over
  --seed S         the schedule's seed; without it one is made up and said
  --sabotage HOW   breaks the agent on purpose: ${SABOTAGES.join(", ")}
  --logs FOLDER    keeps the agents' logs, and what happened, there`;

function readOptions(): Omit<PlayOptions, "write"> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ops: { type: "string", default: "500" },
      containerd: { type: "string", default: "0" },
      minutes: { type: "string", default: "Infinity" },
      seed: { type: "string" },
      sabotage: { type: "string" },
      logs: { type: "string" },
    },
  });
  const [ops, containerdOps] = [Number(values.ops), Number(values.containerd)];
  const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const sabotage = SABOTAGES.find((each) => each === values.sabotage);
  const known = values.sabotage === undefined || sabotage !== undefined;
  if (
    ![ops, containerdOps, seed].every(Number.isInteger) || !known ||
    Number.isNaN(Number(values.minutes))
  ) {
    throw new Error(USAGE);
  }
  const end = performance.now() + Number(values.minutes) * 60_000;
  const enough = () => performance.now() > end;
  return { enough, ops, containerdOps, seed, sabotage, logs: values.logs };
}

async function main(): Promise<number> {
  const options = readOptions();
  if (inPrivateNode()) {
    void endWithInput();
    await furnishPrivateNode();
    const record = await play({ ...options, write: (line) => console.log(line) });
    console.log(summary(record, options.seed));
    return record.violations === 0 ? 0 : 1;
  }
  const obstacle = await privateNodeObstacle();
  if (obstacle !== undefined) {
    console.error(`the fault tests cannot run here: ${obstacle}`);
    return 1;
  }
  await fetchCniPlugins({ progress: console.error });
  if (options.containerdOps) await fetchContainerd("2.1", { progress: console.error });
  await bundleAgent();
  if (options.logs) await Deno.mkdir(options.logs, { recursive: true });
  const args = ["run", "--allow-all", "--quiet", import.meta.filename!, ...Deno.args];
  if (!Deno.args.some((arg) => arg.startsWith("--seed"))) args.push(`--seed=${options.seed}`);
  return (await spawnInPrivateNode(Deno.execPath(), { args }).status).code;
}

/** The private node ends with the process that created it, however that ends. */
async function endWithInput(): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer) !== null);
  Deno.exit(1);
}

if (import.meta.main) Deno.exit(await main());
