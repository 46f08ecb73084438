import { deviceKey, type WrittenDevice } from "../../claim/claim_status.ts";
import type { DeviceStatus } from "../model.ts";

/** Whether a device is Ready, and since when (RFC 3339). */
export interface ReadySince {
  readonly status: string;
  readonly lastTransitionTime: string;
}

/** The Ready conditions that are written of a claim's devices. */
export type WrittenReady = ReadonlyMap<string, ReadySince>;

/** Those of entries as they are written. */
export function writtenReady(devices: readonly DeviceStatus[]): WrittenReady {
  return new Map(devices.map((entry) => [deviceKey(entry), entry.conditions[0]!]));
}

/** Those of a claim as the API server has it. */
export function readyInClaim(written: readonly WrittenDevice[]): WrittenReady {
  return new Map(
    written.flatMap((device) => device.ready ? [[deviceKey(device), device.ready]] : []),
  );
}

/**
 * The entries with each `lastTransitionTime` as Kubernetes means it: when the condition's status
 * changed last, not its reason, and not which of several pods it is of.
 *
 * @param options.before what is written now
 * @param options.now RFC 3339; of a change that has no later time of its own
 */
export function keepTransitionTimes(
  devices: readonly DeviceStatus[],
  { before, now }: { readonly before: WrittenReady; readonly now: string },
): DeviceStatus[] {
  return devices.map((entry) => {
    const written = before.get(deviceKey(entry));
    if (!written) return entry;
    const conditions = entry.conditions.map((condition) => {
      const own = condition.lastTransitionTime;
      const isLater = Date.parse(own) > Date.parse(written.lastTransitionTime);
      const changed = isLater ? own : now;
      const isSame = condition.status === written.status;
      return { ...condition, lastTransitionTime: isSame ? written.lastTransitionTime : changed };
    });
    return { ...entry, conditions };
  });
}
