import { join } from "node:path";
import { fetchCniPlugins } from "../../mod/simulator/cni_plugins.ts";
import { shownStatus } from "../support/claims.ts";
import type { Pod } from "./pods.ts";
import { Record } from "./record.ts";
import { SimulatedRuntime } from "./runtime.ts";
import type { Life } from "./schedule.ts";
import { World } from "./world.ts";

/** Pods that change while the agent is away: so many end, and so many others begin. */
const CHANGED = 20;
const PATIENCE = 120_000;

/** A pod with one network, which comes to nothing by itself. */
function aLife(pod: string): Life {
  return {
    pod,
    claims: [{
      name: `${pod}-claim`,
      networks: [{ interface: "a0", network: "macvlan" }],
      withOther: false,
    }],
    course: "usual",
    end: "unannounced",
    containers: 1,
    namesClaims: true,
    prepareTwice: false,
    unprepareTwice: false,
    pauses: [0],
    rounds: 1,
  };
}

/**
 * How long an agent takes that was killed with so many attachments, while twenty sandboxes went and
 * twenty others came: until both sockets serve, and until records, leases and the claims' status are
 * what they must be. Milliseconds from the start of its process, in words.
 */
export async function recoveryTime(attachments: number): Promise<string> {
  const [cniPath] = await fetchCniPlugins();
  const folder = await Deno.makeTempDir({ dir: "/run" });
  const runtime = new SimulatedRuntime(folder, () => {});
  runtime.start();
  const problems: string[] = [];
  const record = new Record({ seed: 0, write: (line) => void problems.push(line) });
  const world = new World({ folder, runtime, cniPath: cniPath!, record });
  await world.start();
  const names = Array.from({ length: attachments + CHANGED }, (_, i) => `pod-${i}`);
  world.admit(names.map(aLife));
  const pods = names.map((name) => world.pods.get(name)!);
  const [first, later] = [pods.slice(0, attachments), pods.slice(attachments)];
  await Promise.all(first.map((pod) => world.begin(pod)));
  for (const pod of later) await world.prepare(pod);
  const gone = first.slice(0, CHANGED);
  await world.agent.restart("SIGKILL", {
    away: 0,
    meanwhile: async () => {
      for (const pod of gone) await runtime.end(pod.sandboxes.at(-1)!, "unannounced");
      for (const pod of later) await runtime.run(pod);
    },
  });
  const serving = performance.now() - world.agent.startedAt;
  const living = [...first.slice(CHANGED), ...later];
  while (!await isReconciled(world, living)) {
    if (performance.now() - world.agent.startedAt > PATIENCE) throw new Error("not reconciled");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const reconciled = performance.now() - world.agent.startedAt;
  await Promise.all(pods.map((pod) => world.end(pod)));
  await world.stop();
  runtime.close();
  await Deno.remove(folder, { recursive: true });
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return `after SIGKILL with ${attachments} attachments, ${CHANGED} gone and ${CHANGED} come ` +
    `meanwhile: both sockets serve after ${serving.toFixed(0)} ms, all is reconciled after ` +
    `${reconciled.toFixed(0)} ms`;
}

async function isReconciled(world: World, living: readonly Pod[]): Promise<boolean> {
  const leases = (await names("/var/lib/cni/networks/macvlan")).filter((name) => /^\d/.test(name));
  const records = await names(join(world.paths.state, "attachments"));
  if (leases.length !== living.length || records.length !== living.length) return false;
  return living.every(({ claims }) =>
    claims.every(({ ref }) =>
      shownStatus(world.api.get("default", ref.name)).every((line) => line.includes(" True ")) &&
      world.api.get("default", ref.name)?.status?.devices?.length === 1
    )
  );
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
}
