import type { DeviceStatus } from "../agent/model.ts";
import { type ClaimStatus, deviceKey } from "../claim/claim_status.ts";

/** One operation of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: "test" | "add" | "replace" | "remove";
  readonly path: string;
  readonly value?: unknown;
}

const LIST = "/status/devices";

/**
 * The JSON Patch after which a driver's entries of `status.devices` are the given ones. Entries of
 * other drivers are named by no operation, so that they and their order stay as they are, byte for
 * byte. It applies only to the claim as it was read, because it counts entries. Empty when there is
 * nothing to remove and nothing to write.
 *
 * @param current the claim as it was read
 * @param options.driver whose entries these are
 * @param options.devices all entries of that driver
 */
export function entriesPatch(
  { uid, resourceVersion, written }: ClaimStatus,
  { driver, devices }: { readonly driver: string; readonly devices: readonly DeviceStatus[] },
): PatchOperation[] {
  const wanted = new Map(devices.map((entry) => [deviceKey(entry), entry]));
  const changes: PatchOperation[] = [];
  const removals: PatchOperation[] = [];
  written.forEach((found, i) => {
    if (found.driver !== driver) return;
    const path = `${LIST}/${i}`;
    const key = deviceKey(found);
    const value = wanted.get(key);
    wanted.delete(key);
    if (value) changes.push({ op: "replace", path, value });
    // From the end on: a removal moves the entries behind it.
    else removals.unshift({ op: "remove", path });
  });
  const added = [...wanted.values()];
  // Where nothing is written, there is no list to add to.
  const additions: PatchOperation[] = written.length > 0 || added.length === 0
    ? added.map((value) => ({ op: "add", path: `${LIST}/-`, value }))
    : [{ op: "add", path: LIST, value: added }];
  const operations = [...changes, ...removals, ...additions];
  if (operations.length === 0) return [];
  return [
    { op: "test", path: "/metadata/uid", value: uid },
    { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
    ...operations,
  ];
}
