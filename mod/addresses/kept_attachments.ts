import type { CniResult } from "../agent/model.ts";
import type { AgentLook } from "../agent/snapshot/agent_look.ts";
import type { NetworkList } from "../claim/network_list.ts";
import type { AddressOwner } from "./address_object.ts";

/** An attachment that the agent keeps, whatever state it is in. */
export interface KeptAttachment {
  readonly network: NetworkList;
  readonly owner: Omit<AddressOwner, "node">;
  /** What its ADD said; absent unless it is attached, and is to stay. */
  readonly result?: CniResult;
}

/** All attachments that an agent keeps. */
export function keptAttachments({ sandboxes }: AgentLook): KeptAttachment[] {
  return sandboxes.flatMap(({ sandbox: { id, pod }, attachments }) =>
    attachments.map(({ view: { claim, attachment, wanted, phase, attached } }) => ({
      network: attachment.network,
      owner: { claim, pod, containerID: id, ifName: attachment.ifName },
      ...(wanted && phase === "attached" && attached && { result: attached.result }),
    }))
  );
}
