import type { AllocatedDevice } from "./attachment.ts";
import { allocated, array, type Fields, join, object, optional } from "./field.ts";

const RESULTS = "status.allocation.devices.results";

/** One of a driver's results in a claim's allocation. */
export interface AllocationResult extends AllocatedDevice {
  readonly adminAccess: boolean;
  /** Where it stands in the claim, for errors. */
  readonly path: string;
}

/**
 * The devices of a driver that a ResourceClaim (resource.k8s.io/v1) has now, in the allocation's
 * order; none where it is not allocated.
 *
 * @throws FieldError
 */
export function allocationResults(claim: unknown, driver: string): AllocationResult[] {
  const status = optional(object, object(claim, "the claim").status, "status") ?? {};
  const allocation = optional(object, status.allocation, "status.allocation") ?? {};
  const devices = optional(object, allocation.devices, "status.allocation.devices") ?? {};
  const results = optional(array, devices.results, RESULTS) ?? [];
  return results.flatMap((item, i) => {
    const path = `${RESULTS}[${i}]`;
    const result = object(item, path);
    return result.driver === driver ? [resultOf(result, path)] : [];
  });
}

function resultOf(result: Fields, path: string): AllocationResult {
  const shareID = optional(allocated, result.shareID, join(path, "shareID"));
  return {
    request: allocated(result.request, join(path, "request")),
    pool: allocated(result.pool, join(path, "pool")),
    device: allocated(result.device, join(path, "device")),
    ...(shareID !== undefined && { shareID }),
    adminAccess: result.adminAccess === true,
    path,
  };
}

/** Whether two lists hold the same devices for the same requests, in whatever order. */
export function sameDevices(
  one: readonly AllocatedDevice[],
  other: readonly AllocatedDevice[],
): boolean {
  const [ones, others] = [one, other].map((devices) => devices.map(deviceKey).toSorted());
  return JSON.stringify(ones) === JSON.stringify(others);
}

function deviceKey({ request, pool, device, shareID }: AllocatedDevice): string {
  return JSON.stringify([request, pool, device, shareID ?? ""]);
}

/** A request's name without that of its subrequest. */
export function baseRequest({ request }: Pick<AllocatedDevice, "request">): string {
  const [base = ""] = request.split("/");
  return base;
}
