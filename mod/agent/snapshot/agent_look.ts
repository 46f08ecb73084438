import type { SandboxLook } from "../attachments/sandbox_look.ts";
import type { Refusal } from "../claims/refusals.ts";
import type { ClaimRecord } from "../model.ts";

/** All that an agent that leads keeps, as it was when someone looked: values that stay as they are. */
export interface AgentLook {
  readonly claims: readonly ClaimRecord[];
  readonly refused: readonly Refusal[];
  readonly sandboxes: readonly SandboxLook[];
}

/** What an agent sees that keeps nothing, because another one leads. */
export const NOTHING: AgentLook = { claims: [], refused: [], sandboxes: [] };
