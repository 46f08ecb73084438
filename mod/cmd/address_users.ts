import type { AddressUsers } from "../addresses/address_book.ts";
import { keptAttachments } from "../addresses/kept_attachments.ts";
import type { ActiveAgent } from "../agent/handover/active_agent.ts";

/** Who uses addresses on this node; undefined while the agent does not lead, or the runtime is away. */
export function addressUsers({ agent, living }: ActiveAgent): AddressUsers | undefined {
  return agent && living && { attachments: keptAttachments(agent.look()), living };
}
