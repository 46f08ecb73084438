import { type ClusterObjects, itemsOf } from "../cluster/objects.ts";
import type { AgentSeen, RecordSeen } from "./seen.ts";

/** States of what is being removed anyway. */
const ENDING: readonly string[] = ["detaching"];

/** What agents have on record for pods and claims that are not among those that were listed. Pure. */
export function missingRecords(
  agents: readonly AgentSeen[],
  objects: ClusterObjects,
): Omit<RecordSeen, "there">[] {
  const pods = objects.Pod.state === "read" ? uidsOf(itemsOf(objects, "Pod")) : undefined;
  const claims = objects.ResourceClaim.state === "read"
    ? uidsOf(itemsOf(objects, "ResourceClaim"))
    : undefined;
  return agents.flatMap(({ node, told }) => {
    if (told.state !== "told") return [];
    const { attachments, claims: prepared } = told.document;
    const found = new Map<string, Omit<RecordSeen, "there">>();
    for (const { pod, network, interface: name, state } of attachments) {
      if (!pods || pods.has(pod.uid) || ENDING.includes(state)) continue;
      const { namespace, name: podName, uid } = pod;
      const holds = `network ${JSON.stringify(network)} on ${name} (${state})`;
      const before = found.get(`pod ${uid}`)?.holds;
      found.set(`pod ${uid}`, {
        node,
        kind: "pod",
        namespace,
        name: podName,
        uid,
        holds: before === undefined ? holds : `${before}, ${holds}`,
      });
    }
    for (const { namespace, name, uid, state, devices } of prepared) {
      // One that could not be prepared is on no record.
      if (!claims || claims.has(uid) || state === "refused" || ENDING.includes(state)) continue;
      const holds = `the devices ${devices.join(", ") || "of an unknown name"}`;
      found.set(`claim ${uid}`, { node, kind: "claim", namespace, name, uid, holds });
    }
    return [...found.values()];
  });
}

function uidsOf(all: readonly { readonly uid: string }[]): ReadonlySet<string> {
  return new Set(all.map(({ uid }) => uid));
}
