import type { AddressUsers } from "../addresses/address_upkeep.ts";
import { keptAttachments } from "../addresses/kept_attachments.ts";
import type { ActiveAgent } from "../agent/handover/active_agent.ts";
import type { Sandbox } from "../agent/model.ts";
import type { Namespaces } from "../agent/ports.ts";

/** Who uses addresses on this node; undefined while the agent does not lead, or the runtime is away. */
export function addressUsers(
  { agent, sandboxes }: Pick<ActiveAgent, "agent" | "sandboxes">,
  namespaces: Pick<Namespaces, "classify">,
): AddressUsers | undefined {
  if (!agent || !sandboxes) return undefined;
  const byId = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
  return {
    attachments: keptAttachments(agent.look()),
    lives: (containerID) => {
      const sandbox = byId.get(containerID);
      return sandbox !== undefined && !hasEnded(sandbox, namespaces);
    },
  };
}

/** A runtime may not tell that a sandbox has ended, but then its namespace is gone. */
function hasEnded(
  { netns, incomplete }: Sandbox,
  namespaces: Pick<Namespaces, "classify">,
): boolean {
  if (incomplete) return true;
  try {
    return netns !== undefined && namespaces.classify(netns) === "gone";
  } catch {
    // If it cannot be told now, it counts as alive.
    return false;
  }
}
