/** How long `network-dra status` takes with many networks, and who waits for it meanwhile. */
import { askAgents } from "../../mod/status/client.ts";
import { AgentNode, DRIVER } from "../support/agent_node.ts";
import { bundleArguments } from "../support/agent_process.ts";
import { storeClaim } from "../support/claims.ts";
import { percentile, time } from "./statistics.ts";

const PODS = 50;
const NETWORKS = 20;
/** Attached when it is asked for. */
export const SHOWN = PODS * NETWORKS;
/** Pods that get their networks at the same time. */
const LANES = 4;
const ASKED = 10;
/**
 * Hooks in a row while somebody asks, or nobody does. To end an answer takes many times as long as a
 * hook, so that it is not done after each.
 */
const HOOKS = 50;
const TURNS = 20;

export interface StatusTimes {
  /** Milliseconds of the whole command, p50. */
  readonly command: number;
  /** The same for `version`, which asks nobody. */
  readonly process: number;
  /** Of RunPodSandbox of a pod without claims while status is asked for all the time, p99. */
  readonly asked: number;
  /** The same while nobody asks. */
  readonly quiet: number;
}

/** Attaches many networks with its own agent, in a private node. */
export async function measureStatus(): Promise<StatusTimes> {
  await using node = await AgentNode.start([], bundleArguments());
  const names = Array.from({ length: PODS }, (_, i) => `many${i}`);
  const lane = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      await runWithMany(node, name);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const command = percentile(await timed(["status", "--state-dir", node.stateDir]), 50);
  const process = percentile(await timed(["version"]), 50);

  const name = "hooks";
  const sandbox = await node.sandbox(name, crypto.randomUUID());
  node.pods.push(sandbox);
  const hooks = async (times: number[]) => {
    for (let i = 0; i < HOOKS; i++) {
      times.push(await time(() => node.runtime.runPodSandbox(sandbox)));
      await node.runtime.stopPodSandbox(sandbox);
    }
  };
  const asking = new Asking(node.stateDir);
  const ours: number[] = [];
  const theirs: number[] = [];
  // In turns, so that what else the machine does falls on both.
  for (let turn = 0; turn < TURNS; turn++) {
    await asking.begin();
    await hooks(ours);
    await asking.pause();
    await hooks(theirs);
  }
  await asking.end();
  return { command, process, asked: percentile(ours, 99), quiet: percentile(theirs, 99) };
}

/** Another thread asks for the status, one time after the other, while it is let. */
class Asking {
  readonly #worker: Worker;

  constructor(stateDir: string) {
    this.#worker = new Worker(import.meta.url, { type: "module", name: stateDir });
  }

  /** Resolves when the agent is answering. */
  begin(): Promise<void> {
    return this.#tell("begin");
  }

  /** Resolves when no answer is under way. */
  pause(): Promise<void> {
    return this.#tell("pause");
  }

  async end(): Promise<void> {
    await this.pause();
    this.#worker.terminate();
  }

  #tell(word: "begin" | "pause"): Promise<void> {
    return new Promise((resolve) => {
      this.#worker.onmessage = () => resolve();
      this.#worker.postMessage(word);
    });
  }
}

async function runWithMany(node: AgentNode, name: string): Promise<void> {
  const uid = crypto.randomUUID();
  const networks = Array.from({ length: NETWORKS }, (_, i) => ({ name: `lan-${i}`, subnet: i }));
  const pods = [{ name, uid }];
  const claim = storeClaim(node.api, { name: `claim-${name}`, driver: DRIVER, networks, pods });
  const answers = await node.kubelet.prepare(DRIVER, [claim]);
  if (answers[claim.uid]?.error) throw new Error(answers[claim.uid]!.error);
  const pod = { name, claim, sandbox: await node.sandbox(name, uid) };
  await node.until(async () => {
    try {
      await node.begin(pod);
      return true;
    } catch (error) {
      if (/still being attached/.test(String(error))) return false;
      throw error;
    }
  }, () => `${name} is not attached`);
}

/** Of a command of the bundle, with the permissions that it has in the executable. */
async function timed(command: readonly string[]): Promise<number[]> {
  const args = [...bundleArguments().slice(0, -1), ...command];
  const times: number[] = [];
  for (let i = 0; i < ASKED; i++) {
    times.push(
      await time(async () => {
        const output = { stdout: "null", stderr: "inherit" } as const;
        const { code } = await new Deno.Command(Deno.execPath(), { args, ...output }).output();
        if (code !== 0) throw new Error(`${command.join(" ")} gave the exit code ${code}`);
      }),
    );
  }
  return times;
}

/** The other thread. */
function serveAsking(self: Worker & { readonly name: string }): void {
  let asks = false;
  let asked: Promise<unknown> = Promise.resolve();
  const askOn = async () => {
    while (asks) await (asked = askAgents(self.name));
  };
  self.onmessage = async ({ data }) => {
    const begins = data === "begin" && !asks;
    asks = data === "begin";
    if (begins) void askOn();
    if (!asks) await asked;
    self.postMessage("done");
  };
}

if ("WorkerGlobalScope" in globalThis) serveAsking(globalThis as never);
