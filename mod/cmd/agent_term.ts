import { Agent } from "../agent/agent.ts";
import { aborted } from "../async/aborted.ts";
import { serveForgetRequests } from "../requests/forget_requests.ts";
import type { AgentProcess } from "./agent_process.ts";

/**
 * What an agent does while it leads, until the signal is aborted: it takes up the records, answers
 * the runtime and the kubelet, publishes the node's devices and looks after what is attached.
 */
export async function runTerm(
  { config, clock, log, devices, ports, activeAgent, loops, progress }: AgentProcess,
  over: AbortSignal,
): Promise<void> {
  const { driverName: driver, concurrency, policy } = config;
  const agent = new Agent(ports, { driver, concurrency, policy });
  try {
    await agent.load();
    await activeAgent.take(agent);
    progress.led.set();
    // Devices that are published bring pods here. Once the term is over, what follows ends at once.
    await progress.listens.wait(over).catch(() => {});
    const publishing = devices.run(() => agent.allocatedDevices(), over);
    loops.watch("devices", publishing, over);
    const { checkInterval: interval, repair, gcNetworks } = config;
    const upkeep = agent.upkeep({ interval, repair, gcNetworks }, over);
    loops.watch("upkeep", upkeep, over);
    const forget = (claim: string) => agent.forget(claim, over);
    const requests = serveForgetRequests(config.stateDir, { forget, clock, log, signal: over });
    loops.watch("requests", requests, over);
    await Promise.all([publishing, upkeep, requests, aborted(over)]);
  } finally {
    await activeAgent.leave();
    await agent.close();
  }
}
