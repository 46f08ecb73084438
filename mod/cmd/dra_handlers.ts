import type { ActiveAgent } from "../agent/handover/active_agent.ts";
import type { DeviceHealth } from "../agent/status/device_health.ts";
import type { Clock } from "../async/clock.ts";
import type { DraHandlers } from "../dra/dra_service.ts";
import type { HealthSource } from "../dra/health_service.ts";

/** The kubelet considers a device's health unknown after 30 s without an update. */
const HEALTH_INTERVAL_MS = 10_000;

/** Translates the kubelet's calls for the agent. */
export function draHandlers(activeAgent: ActiveAgent, clock: Clock): DraHandlers & HealthSource {
  return {
    prepare: (claims, signal) => activeAgent.prepare(claims, signal),
    unprepare: (claims, signal) => activeAgent.unprepare(claims, signal),
    watchHealth: (signal) => watchHealth(activeAgent, { clock, signal }),
  };
}

async function* watchHealth(
  activeAgent: ActiveAgent,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<DeviceHealth[]> {
  while (!signal.aborted) {
    const health = activeAgent.agent?.deviceHealth();
    if (health) yield health;
    await clock.sleep(HEALTH_INTERVAL_MS, signal).catch(() => {});
  }
}
