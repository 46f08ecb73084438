import type { ObjectRef, SliceObject } from "./objects.ts";
import type { ClaimView, DeviceView } from "./picture.ts";

/** The devices of slices with the claims that they are allocated to. */
export function deviceViews(
  slices: readonly SliceObject[],
  claims: readonly ClaimView[],
): DeviceView[] {
  const uses = new Map<string, ObjectRef[]>();
  for (const { namespace, name, uid, attachments } of claims) {
    for (const attachment of attachments) {
      const key = keyOf(attachment.driver, attachment.pool, attachment.device);
      const list = uses.get(key);
      if (list) list.push({ namespace, name, uid });
      else uses.set(key, [{ namespace, name, uid }]);
    }
  }
  return slices.filter(isCurrent(slices))
    .flatMap(({ driver, pool, node, devices }) =>
      devices.map(({ name, attributes, taints, attachments }) => ({
        driver,
        pool,
        ...(node !== undefined && { node }),
        name,
        attributes,
        taints,
        capacity: attachments,
        claims: uses.get(keyOf(driver, pool, name)) ?? [],
      }))
    );
}

/** Slices of an earlier generation of their pool no longer count. */
function isCurrent(slices: readonly SliceObject[]): (slice: SliceObject) => boolean {
  const latest = new Map<string, number>();
  for (const { driver, pool, generation } of slices) {
    const key = keyOf(driver, pool, "");
    latest.set(key, Math.max(generation, latest.get(key) ?? 0));
  }
  return ({ driver, pool, generation }) => latest.get(keyOf(driver, pool, "")) === generation;
}

function keyOf(driver: string, pool: string, device: string): string {
  return `${driver} ${pool} ${device}`;
}
