/** An agent whose ports are fakes, for input that comes through its hooks. */
import { Agent } from "../../mod/agent/agent.ts";
import { ActiveAgent } from "../../mod/agent/handover/active_agent.ts";
import {
  anAttachment,
  type FakeClock,
  type FakeCluster,
  type FakeCni,
  type FakeJournal,
  type FakeLog,
  fakePorts,
  FakeWaitingSandboxes,
} from "../support/agent_fakes.ts";
import { holds, staysInside } from "./target.ts";

export const DRIVER = "dra.networking";

export interface AgentBench {
  readonly agent: Agent;
  readonly activeAgent: ActiveAgent;
  readonly cni: FakeCni;
  readonly journal: FakeJournal;
  readonly cluster: FakeCluster;
  readonly log: FakeLog;
  readonly clock: FakeClock;
}

/** With the claim of pod `uid-p`, which is prepared. */
export async function agentBench(): Promise<AgentBench> {
  const ports = fakePorts();
  const { cni, journal, cluster, log, clock } = ports;
  journal.claims.set("uid-a", {
    claim: { namespace: "default", name: "a", uid: "uid-a" },
    pods: [{ name: "p", uid: "uid-p" }],
    shareable: true,
    attachments: [anAttachment("net1")],
  });
  const agent = new Agent(ports, { driver: DRIVER, concurrency: 2, policy: {} });
  await agent.load();
  const activeAgent = new ActiveAgent({ ...ports, waiting: new FakeWaitingSandboxes() });
  await activeAgent.take(agent);
  return { agent, activeAgent, cni, journal, cluster, log, clock };
}

/** What must hold whatever was sent. */
export function assertBench({ cni, log }: AgentBench): void {
  holds(cni.overlaps.length === 0, `operations of one container overlap: ${cni.overlaps}`);
  for (const { runtime } of cni.calls) {
    for (const [key, value] of runtime.args) {
      holds(!/[;=\0\n]/.test(value), `CNI_ARGS: ${key} is ${JSON.stringify(value)}`);
    }
  }
  for (const line of log.lines) staysInside(line);
  const longest = Math.max(0, ...log.lines.map(({ length }) => length));
  holds(longest < 16 * 1024, `a line of the log has ${longest} characters`);
}
