import type { NodeDevices } from "../agent/devices/node_devices.ts";
import type { ActiveAgent } from "../agent/handover/active_agent.ts";
import { NOTHING } from "../agent/snapshot/agent_look.ts";
import { attachmentsOf, claimsOf, devicesOf, sandboxesOf } from "../agent/snapshot/looked.ts";
import type { Clock } from "../async/clock.ts";
import type { Needs } from "../observe/needs.ts";
import { DOCUMENT_VERSION, type SettingStatus } from "../status/document.ts";
import type { DocumentParts } from "../status/document_text.ts";
import type { RunConfig } from "./run_config.ts";
import { VERSION } from "./version.ts";

/** The parts of an agent that its status describes. */
export interface AgentStatusSources {
  readonly settings: readonly SettingStatus[];
  readonly startedAt: Date;
  readonly clock: Clock;
  readonly needs: Pick<Needs, "checks">;
  readonly activeAgent: Pick<ActiveAgent, "agent">;
  readonly devices: Pick<NodeDevices, "look">;
}

/** The agent's current status. The values do not change later; long lists are produced while they are read. */
export function agentStatus(
  { nodeName: node, driverName: driver, podUid, stateDir }: RunConfig,
  { settings, startedAt, clock, needs, activeAgent, devices }: AgentStatusSources,
): DocumentParts {
  const look = activeAgent.agent?.look();
  const agent = {
    version: VERSION,
    node,
    driver,
    ...(podUid !== undefined && { podUid }),
    startedAt: startedAt.toISOString(),
    role: look ? "leads" : "stands by",
    needs: needs.checks(),
  } as const;
  const seen = look ?? NOTHING;
  return {
    version: DOCUMENT_VERSION,
    source: "agent",
    at: clock.now().toISOString(),
    stateDir,
    agents: [agent],
    settings,
    devices: look ? devicesOf(devices.look(), look) : [],
    sandboxes: sandboxesOf(seen),
    claims: claimsOf(seen),
    attachments: attachmentsOf(seen),
  };
}
