import type { SelectorDevice } from "../selectors/selector.ts";
import type { StoredSlice } from "./stored_slice.ts";

/** A device of a node, as the scheduler sees it in ResourceSlices. */
export interface PublishedDevice extends SelectorDevice {
  readonly node: string;
  readonly pool: string;
  readonly name: string;
  readonly taints: readonly Taint[];
  readonly capacity: Readonly<Record<string, Capacity>>;
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

export interface Capacity {
  readonly value: string;
  readonly requestPolicy?: { readonly default?: string };
}

/** The devices of the slices, in their order. */
export function publishedDevices(slices: readonly StoredSlice[]): PublishedDevice[] {
  return slices.flatMap(({ spec: { driver, nodeName, pool, devices = [] } }) =>
    devices.map(({ name, ...device }) => ({
      node: nodeName,
      driver,
      pool: pool.name,
      name,
      allowMultipleAllocations: device.allowMultipleAllocations === true,
      attributes: (device.attributes ?? {}) as SelectorDevice["attributes"] & object,
      capacity: (device.capacity ?? {}) as unknown as Readonly<Record<string, Capacity>>,
      taints: (device.taints ?? []) as unknown as readonly Taint[],
    }))
  );
}
