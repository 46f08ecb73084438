import { Agent } from "../agent/agent.ts";
import { aborted } from "../async/aborted.ts";
import { serveForgetRequests } from "../requests/forget_requests.ts";
import { addressUsers } from "./address_users.ts";
import type { AgentProcess } from "./agent_process.ts";

/**
 * What an agent does while it leads, until the signal is aborted: it loads the records, answers the
 * runtime and the kubelet, publishes the node's devices and checks the attached networks.
 */
export async function runTerm(
  { config, clock, log, devices, addresses, ports, activeAgent, dra, loops, progress }:
    AgentProcess,
  over: AbortSignal,
): Promise<void> {
  const { driverName: driver, concurrency, policy } = config;
  // Operations that run when the term is over still need it.
  await using following = addresses?.lead(() => addressUsers(activeAgent, ports.namespaces), over);
  if (following) loops.watch("addresses", following.done, { until: over });
  const agent = new Agent(ports, { driver, concurrency, policy });
  try {
    await agent.load();
    // It was withdrawn if this agent led before.
    const offered = dra.offer();
    await activeAgent.take(agent);
    await offered;
    progress.led.set();
    // Published devices attract pods to this node. Once the term is over, what follows ends at once.
    await progress.listens.wait(over).catch(() => {});
    const publishing = devices.run(() => agent.allocatedDevices(), over);
    loops.watch("devices", publishing, { until: over });
    const { checkInterval: interval, repair, gcNetworks } = config;
    const upkeep = agent.upkeep({ interval, repair, gcNetworks }, over);
    loops.watch("upkeep", upkeep, { until: over });
    const forget = (claim: string) => agent.forget(claim, over);
    const requests = serveForgetRequests(config.stateDir, { forget, clock, log, signal: over });
    loops.watch("requests", requests, { until: over });
    await Promise.all([publishing, upkeep, requests, aborted(over)]);
  } finally {
    // The kubelet is to call the agent that leads next. Where this one stops, it is withdrawn already.
    const withdrawn = dra.withdraw();
    await activeAgent.leave();
    await withdrawn;
    await agent.close();
  }
}
