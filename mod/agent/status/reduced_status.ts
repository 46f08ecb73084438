import { isDeepStrictEqual } from "node:util";
import type { DeviceStatus } from "../model.ts";

/** A claim's entries with less in them. */
export interface ReducedStatus {
  /** What is left out, in words; undefined of the whole. */
  readonly without?: string;
  readonly devices: readonly DeviceStatus[];
}

const REDUCTIONS: readonly (readonly [string, (entry: DeviceStatus) => DeviceStatus])[] = [
  ["data", withoutData],
  ["data and addresses", (entry) => {
    const interfaceName = entry.networkData?.interfaceName;
    const rest = conditionsOnly(entry);
    return interfaceName === undefined ? rest : { ...rest, networkData: { interfaceName } };
  }],
  ["data and networkData", conditionsOnly],
];

/**
 * The forms in which a status is offered to an API server that refuses it: from the whole one to
 * the conditions alone, each with less in it than the one before.
 */
export function reducedStatuses(devices: readonly DeviceStatus[]): ReducedStatus[] {
  const forms: ReducedStatus[] = [{ devices }];
  let before = devices;
  for (const [without, reduce] of REDUCTIONS) {
    const reduced = devices.map(reduce);
    if (isDeepStrictEqual(reduced, before)) continue;
    before = reduced;
    forms.push({
      without,
      devices: reduced.map((entry, i) =>
        isDeepStrictEqual(entry, devices[i]) ? entry : noted(entry, without)
      ),
    });
  }
  return forms;
}

function withoutData({ data: _, ...rest }: DeviceStatus): DeviceStatus {
  return rest;
}

function conditionsOnly(entry: DeviceStatus): DeviceStatus {
  const { networkData: _, ...rest } = withoutData(entry);
  return rest;
}

/** Readers of the status must not mistake what is left out for something that does not exist. */
function noted(entry: DeviceStatus, without: string): DeviceStatus {
  const note = `(written without ${without}, which the API server refuses)`;
  const conditions = entry.conditions.map((condition) => ({
    ...condition,
    message: `${condition.message} ${note}`.trim(),
  }));
  return { ...entry, conditions };
}
