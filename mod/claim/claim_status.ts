import { array, type Fields, identity, join, object, optional, text } from "./field.ts";

/** One device in a claim's status, by the keys of `status.devices`. */
export interface StatusDevice {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly shareID?: string;
}

/** A device of which something is written, with its Ready condition. */
export interface WrittenDevice extends StatusDevice {
  /** The entry as it is. */
  readonly entry: Fields;
  readonly ready?: {
    readonly status: string;
    /** RFC 3339. */
    readonly lastTransitionTime: string;
  };
}

/** Of a ResourceClaim, what tells whose its devices are and what is written of them. */
export interface ClaimStatus {
  readonly uid: string;
  readonly resourceVersion: string;
  /** `status.allocation.devices.results`; none of a claim that is not allocated. */
  readonly allocated: readonly StatusDevice[];
  /** `status.devices` (KEP-4817). */
  readonly written: readonly WrittenDevice[];
}

/**
 * Reads a ResourceClaim (resource.k8s.io/v1) as the API server gives it.
 *
 * @throws FieldError
 */
export function claimStatus(claim: unknown): ClaimStatus {
  const fields = object(claim, "the claim");
  const { uid, resourceVersion } = object(fields.metadata, "metadata");
  const status = optional(object, fields.status, "status") ?? {};
  const allocation = optional(object, status.allocation, "status.allocation") ?? {};
  const path = "status.allocation.devices";
  const devices = optional(object, allocation.devices, path) ?? {};
  return {
    uid: identity(uid, "metadata.uid"),
    resourceVersion: text(resourceVersion, "metadata.resourceVersion"),
    allocated: each(devices.results, `${path}.results`, statusDevice),
    written: each(status.devices, "status.devices", (item, at) => ({
      ...statusDevice(item, at),
      entry: object(item, at),
      ...readyCondition(object(item, at).conditions, join(at, "conditions")),
    })),
  };
}

/** What tells one entry of `status.devices` from all others. */
export function deviceKey({ driver, pool, device, shareID }: StatusDevice): string {
  return JSON.stringify([driver, pool, device, shareID ?? null]);
}

function each<T>(value: unknown, path: string, read: (item: unknown, path: string) => T): T[] {
  return (optional(array, value, path) ?? []).map((item, i) => read(item, `${path}[${i}]`));
}

function statusDevice(value: unknown, path: string): StatusDevice {
  const { driver, pool, device, shareID } = object(value, path);
  const share = optional(text, shareID, join(path, "shareID"));
  return {
    driver: text(driver, join(path, "driver")),
    pool: text(pool, join(path, "pool")),
    device: text(device, join(path, "device")),
    ...(share !== undefined && { shareID: share }),
  };
}

function readyCondition(value: unknown, path: string): Pick<WrittenDevice, "ready"> {
  const conditions = each(value, path, (item, at) => {
    const { type, status, lastTransitionTime } = object(item, at);
    return {
      type: text(type, join(at, "type")),
      status: text(status, join(at, "status")),
      lastTransitionTime: text(lastTransitionTime, join(at, "lastTransitionTime")),
    };
  });
  const ready = conditions.find(({ type }) => type === "Ready");
  if (!ready) return {};
  const { status, lastTransitionTime } = ready;
  return { ready: { status, lastTransitionTime } };
}
