/** How long the node's networks take to be in order again after the agent died. */
import { ip } from "../../mod/simulator/private_node.ts";
import { AgentNode, type Pod } from "../support/agent_node.ts";
import { bundleArguments } from "../support/agent_process.ts";

/** Attached when the agent dies. */
export const ATTACHED = 200;
/** Pods that end, and as many that begin, while it is away. */
export const CHANGED = 20;

export interface Recovery {
  /** Milliseconds from its start until runtime and kubelet know the agent. */
  readonly serving: number;
  /** Until all is attached, detached, on disk and in the claims as it shall be. */
  readonly settled: number;
}

/** Kills an agent with many networks and starts another, in a private node. */
export async function measureRecovery(): Promise<Recovery> {
  const network = { name: "lan", config: { ipam: IPAM } };
  await using node = await AgentNode.start([], bundleArguments());
  const pods: Pod[] = [];
  for (let i = 0; i < ATTACHED; i++) pods.push(await node.run(network));
  const begin: Pod[] = [];
  for (let i = 0; i < CHANGED; i++) begin.push(await node.prepare(network));
  for (const pod of pods) await node.ready(pod);
  await node.agent.end("SIGKILL");
  const ended = pods.splice(0, CHANGED);
  for (const { name, sandbox } of ended) {
    await ip(["netns", "delete", name]);
    node.pods.splice(node.pods.indexOf(sandbox), 1);
  }
  node.pods.push(...begin.map(({ sandbox }) => sandbox));
  const began = performance.now();
  await node.startAgent();
  const serving = performance.now() - began;
  for (const pod of [...pods, ...begin]) await node.ready(pod);
  for (const pod of ended) {
    await node.until(() => node.condition(pod) === undefined, () => `${pod.name} is left`);
  }
  await node.until(
    async () => (await node.records("attachments")).length === ATTACHED,
    () => "records are left",
  );
  return { serving, settled: performance.now() - began };
}

const IPAM = { type: "host-local", ranges: [[{ subnet: "10.65.0.0/16" }]] };
