import { Quantity } from "../selectors/quantity.ts";
import type { PublishedDevice } from "./published_devices.ts";

/** One device in an allocation, and what it takes of the device's capacity. */
export interface DeviceUse {
  readonly device: PublishedDevice;
  /** By the capacity's name; of devices that are shared. */
  readonly consumed: Readonly<Record<string, string>>;
}

/** The capacity that is in use, by claims and by the allocation in progress. */
export class UsedDevices {
  readonly #uses: DeviceUse[];

  constructor(uses: readonly DeviceUse[] = []) {
    this.#uses = [...uses];
  }

  /** Takes the device, or gives undefined if it does not have enough left. */
  take(
    device: PublishedDevice,
    requested: Readonly<Record<string, string>>,
  ): DeviceUse | undefined {
    const before = this.#uses.filter((use) => sameDevice(use.device, device));
    if (!device.allowMultipleAllocations) {
      if (before.length > 0) return undefined;
      return this.#add({ device, consumed: {} });
    }
    const consumed: Record<string, string> = {};
    for (const [name, { value, requestPolicy }] of Object.entries(device.capacity)) {
      consumed[name] = requested[name] ?? requestPolicy?.default ?? value;
      const all = [...before.map((use) => use.consumed[name] ?? "0"), consumed[name]];
      const sum = all.reduce((total, each) => total + Quantity.parse(each).nanos, 0n);
      if (sum > Quantity.parse(value).nanos) return undefined;
    }
    if (Object.keys(requested).some((name) => !Object.hasOwn(consumed, name))) return undefined;
    return this.#add({ device, consumed });
  }

  giveBack(use: DeviceUse): void {
    this.#uses.splice(this.#uses.lastIndexOf(use), 1);
  }

  #add(use: DeviceUse): DeviceUse {
    this.#uses.push(use);
    return use;
  }
}

function sameDevice(a: PublishedDevice, b: PublishedDevice): boolean {
  return a.driver === b.driver && a.pool === b.pool && a.name === b.name;
}
