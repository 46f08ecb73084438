import type { DeviceInterface } from "../../claim/allocated_interface.ts";
import { CNI_DEVICE, originalDevice } from "../../claim/device_names.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import { WarnOnce } from "../../async/warn_once.ts";
import { Notifier } from "../../async/notifier.ts";
import type { Clock } from "../../async/clock.ts";
import type { DevicePool, Devices, Inventory, Log, Metrics } from "../ports.ts";
import type { NodeDevice, OfferedDevice } from "../model.ts";
import type { DeviceLook } from "./device_look.ts";
import { errorMessage } from "../../async/error_message.ts";

/** A link that comes, goes or goes down shall be published within 5 s. */
const INTERVAL = 2_000;
/** Two agents that each find the other's slices wrong (an update of the agent) write no faster. */
const PAUSE = 1_000;
const RETRY: Backoff = { first: 500, most: 30_000 };

/** Where devices are found and published. */
export interface NodeDevicesPorts {
  readonly inventory: Inventory;
  readonly pool: DevicePool;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "devicesPublished">;
  /** A device is gone from the node. */
  readonly onGone?: (device: NodeDevice) => void;
}

/**
 * The node's devices: follows what the node has, keeps it published, and knows the interface behind
 * each. A device that a claim holds stays published when its interface has gone, to a pod for one.
 */
export class NodeDevices implements Devices {
  readonly #ports: NodeDevicesPorts;
  readonly #changes = new Notifier();
  /** What the node has; undefined until it was read. */
  #present: ReadonlyMap<string, NodeDevice> | undefined;
  /** As they were seen last: those there are and those that claims hold. */
  #seen = new Map<string, NodeDevice>();
  #allocated: readonly string[] = [];
  /** The state to publish, counted: what was published is compared by it. */
  #version = 0;
  #offered = "";

  constructor(ports: NodeDevicesPorts) {
    this.#ports = ports;
  }

  async known(signal: AbortSignal): Promise<(device: string) => DeviceInterface> {
    while (!this.#present) await this.#changes.next(signal);
    return (device) => this.#interfaceOf(device);
  }

  isGone(device: string): boolean {
    const name = originalDevice(device);
    return name !== CNI_DEVICE && this.#present !== undefined && !this.#present.has(name);
  }

  attributesOf(device: string): NodeDevice["attributes"] {
    return this.#seen.get(originalDevice(device))?.attributes ?? {};
  }

  /** Those there are and those that claims hold, by name; none while that is not known. */
  look(): DeviceLook[] {
    return [...this.#seen.values()].map(({ name, attributes: { interface: link }, down }) => ({
      name,
      ...(link && "string" in link && { interface: link.string }),
      state: this.isGone(name) ? "gone" : down ? "down" : "up",
    }));
  }

  /**
   * Follows and publishes until the signal is aborted; what is published then stays.
   *
   * @param allocated the devices that prepared claims hold at the moment
   */
  async run(allocated: () => readonly string[], signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#follow(allocated, signal),
      this.#publish(signal),
      this.#watch(signal),
    ]);
  }

  #interfaceOf(device: string): DeviceInterface {
    const name = originalDevice(device);
    if (name === CNI_DEVICE) return { device };
    const found = this.#present?.get(name);
    if (!found) {
      throw new Error(`the interface of device ${device} is not on this node`);
    }
    const { interface: interfaceName, type } = found.attributes;
    return {
      device,
      ...(interfaceName && "string" in interfaceName && { interfaceName: interfaceName.string }),
      ...(type && "string" in type && { type: type.string }),
    };
  }

  async #follow(allocated: () => readonly string[], signal: AbortSignal): Promise<void> {
    const { inventory, clock } = this.#ports;
    while (!signal.aborted) {
      const devices = await inventory.read(signal);
      const before = [...this.#present?.values() ?? []];
      this.#present = new Map(devices.map((device) => [device.name, device]));
      for (const device of before) {
        if (!this.#present.has(device.name)) this.#ports.onGone?.(device);
      }
      this.#allocated = allocated();
      this.#remember(devices);
      const offered = JSON.stringify(this.#offer());
      if (offered !== this.#offered) {
        this.#offered = offered;
        this.#changed();
      }
      await clock.sleep(INTERVAL, signal).catch(() => {});
    }
  }

  #remember(devices: Iterable<NodeDevice>): void {
    const held = new Set(this.#allocated.map(originalDevice));
    const kept = [...this.#seen].filter(([name]) => held.has(name));
    this.#seen = new Map([...kept, ...[...devices].map((each) => [each.name, each] as const)]);
  }

  #offer(): OfferedDevice[] {
    const offer: OfferedDevice[] = [];
    for (const device of this.#seen.values()) {
      const down = device.down || !this.#present?.has(device.name);
      const allocated = this.#allocated.filter((name) => originalDevice(name) === device.name);
      offer.push({
        ...device,
        down,
        // A device that is up is offered whole: who holds it makes no difference.
        allocated: allocated.filter((name) => down || name !== device.name).toSorted(),
      });
    }
    return offer.toSorted((a, b) => a.name < b.name ? -1 : 1);
  }

  #changed(): void {
    this.#version++;
    this.#changes.notify();
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { pool, clock, log, metrics } = this.#ports;
    let loaded = false;
    let published = -1;
    const problem = new WarnOnce(log);
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (!this.#present || published === this.#version) {
          await this.#changes.next(signal);
          continue;
        }
        if (!loaded) this.#recall(await pool.published(signal));
        loaded = true;
        const version = this.#version;
        const offer = this.#offer();
        const written = await pool.publish(offer, signal);
        published = version;
        const down = offer.filter((device) => device.down).length;
        metrics.devicesPublished({ up: offer.length - down, down });
        if (written || failures > 0) log.info("published the node's devices", describe(offer));
        failures = 0;
        problem.over();
        if (written) await clock.sleep(PAUSE, signal).catch(() => {});
      } catch (error) {
        if (signal.aborted) return;
        problem.say("cannot publish the node's devices; trying again", {
          error: errorMessage(error),
        });
        await clock.sleep(pauseAfter(++failures, RETRY), signal).catch(() => {});
      }
    }
  }

  /** After a restart, devices that claims hold may be known only by what was published of them. */
  #recall(published: readonly NodeDevice[]): void {
    const held = new Set(this.#allocated.map(originalDevice));
    for (const device of published) {
      if (held.has(device.name) && !this.#seen.has(device.name)) {
        this.#seen.set(device.name, device);
      }
    }
  }

  /** Others delete slices: the kubelet all of the node's when it starts. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { pool, clock, log } = this.#ports;
    const problem = new WarnOnce(log);
    let failures = 0;
    while (!signal.aborted) {
      try {
        for await (const _ of pool.changes(signal)) {
          failures = 0;
          problem.over();
          this.#changed();
        }
      } catch (error) {
        if (signal.aborted) return;
        failures++;
        problem.say("cannot watch the node's ResourceSlices; trying again", {
          error: errorMessage(error),
        });
      }
      await clock.sleep(pauseAfter(Math.max(failures, 1), RETRY), signal).catch(() => {});
    }
  }
}

function describe(devices: readonly OfferedDevice[]): Record<string, unknown> {
  const down = devices.filter((device) => device.down).map(({ name }) => name);
  return { devices: devices.map(({ name }) => name), ...(down.length > 0 && { down }) };
}
