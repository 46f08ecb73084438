import type { Fields, Manifest } from "../manifests/manifest.ts";
import { misfit, type Wanted, waysOf } from "./candidates.ts";
import type { DeviceUse, UsedDevices } from "./device_use.ts";
import type { PublishedDevice } from "./published_devices.ts";

/** What the scheduler writes into a claim's status. */
export interface Allocation {
  readonly devices: { readonly results: Fields[]; readonly config: Fields[] };
  readonly nodeSelector: Fields;
}

/** Kubernetes' limit of devices in one claim. */
const MOST_DEVICES = 32;
/** Steps after which the search for devices that fit together ends. */
const MOST_STEPS = 100_000;

interface Pick extends DeviceUse {
  readonly wanted: Wanted;
}

interface Constraint {
  readonly requests: readonly string[];
  readonly matchAttribute?: string;
  readonly distinctAttribute?: string;
}

/** A claim that no node can serve. */
export class NotAllocatable extends Error {
  override readonly name = "NotAllocatable";
}

/**
 * Allocates a claim on one node, as the scheduler does: the first devices, in the order of the slices,
 * that its classes' and its own selectors match, whose taints it tolerates, that have enough left, and
 * that fit together by its constraints.
 *
 * @param used the devices already in use; those that this claim gets are added
 * @throws NotAllocatable with the reason why none fits
 * @throws Error if a selector cannot be evaluated or a class does not exist
 */
export function allocate(
  claim: Manifest,
  { devices, classOf, used }: {
    /** Those of the node. */
    readonly devices: readonly PublishedDevice[];
    readonly classOf: (name: string) => Manifest;
    readonly used: UsedDevices;
  },
): Allocation {
  const { requests = [], constraints = [], config = [] } =
    ((claim.spec as Fields)?.devices ?? {}) as Readonly<Record<string, Fields[]>>;
  const name = `claim ${claim.metadata.name}`;
  if (!requests?.length) throw new Error(`${name}: it requests no devices`);
  const ways = requests.map((request, i) =>
    waysOf(request, { path: `spec.devices.requests[${i}]`, classOf })
  );
  const search = new Search(ways, constraints as unknown as Constraint[], { devices, used });
  let picks: readonly Pick[] | undefined;
  try {
    picks = search.run();
  } catch (error) {
    if (error instanceof NotAllocatable) throw new NotAllocatable(`${name}: ${error.message}`);
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
  if (!picks) throw new NotAllocatable(`${name}: ${search.problem()}`);
  return {
    devices: { results: picks.map(resultOf), config: configsOf(picks, config) },
    nodeSelector: {
      nodeSelectorTerms: [{
        matchFields: [{ key: "metadata.name", operator: "In", values: [devices[0]!.node] }],
      }],
    },
  };
}

function resultOf({ wanted, device, consumed }: Pick): Fields {
  return {
    request: wanted.request,
    driver: device.driver,
    pool: device.pool,
    device: device.name,
    ...(device.allowMultipleAllocations && { shareID: crypto.randomUUID() }),
    ...(Object.keys(consumed).length > 0 && { consumedCapacity: consumed }),
    ...(wanted.adminAccess && { adminAccess: true }),
  };
}

/** Those of the classes first. */
function configsOf(picks: readonly Pick[], ofClaim: readonly Fields[]): Fields[] {
  const ways = [...new Set(picks.map(({ wanted }) => wanted))];
  const ofClasses = ways.flatMap(({ request, deviceClass }) => {
    const { config = [] } = (deviceClass.spec ?? {}) as { config?: Fields[] };
    return (config ?? []).map((entry) => ({ source: "FromClass", requests: [request], ...entry }));
  });
  return [...ofClasses, ...(ofClaim ?? []).map((entry) => ({ source: "FromClaim", ...entry }))];
}

/** Finds devices for the requests of a claim, one after another; steps back when they do not fit together. */
class Search {
  readonly #ways: readonly (readonly Wanted[])[];
  readonly #constraints: readonly Constraint[];
  readonly #devices: readonly PublishedDevice[];
  readonly #used: UsedDevices;
  /** Why the devices that were tried do not match. */
  readonly #looked = new Map<Wanted, Map<PublishedDevice, string | undefined>>();
  readonly #picks: Pick[] = [];
  /** The request at which the search ended, the furthest. */
  #furthest = 0;
  #steps = 0;

  constructor(
    ways: readonly (readonly Wanted[])[],
    constraints: readonly Constraint[],
    { devices, used }: { readonly devices: readonly PublishedDevice[]; readonly used: UsedDevices },
  ) {
    this.#ways = ways;
    this.#constraints = constraints ?? [];
    this.#devices = devices;
    this.#used = used;
  }

  run(): readonly Pick[] | undefined {
    return this.#from(0) ? this.#picks : undefined;
  }

  /** Why there are none. */
  problem(): string {
    return this.#ways[this.#furthest]!.map((wanted) => this.#why(wanted)).join("; ");
  }

  #from(request: number): boolean {
    this.#furthest = Math.max(this.#furthest, Math.min(request, this.#ways.length - 1));
    const ways = this.#ways[request];
    return ways === undefined || ways.some((wanted) => {
      if (wanted.count !== undefined) return this.#pick(request, wanted, { left: wanted.count });
      const all = this.#devices.filter((device) => this.#matches(wanted, device));
      return all.length > 0 && this.#pick(request, wanted, { left: all.length, all });
    });
  }

  /** @param all the devices to take, one after another; if undefined, any that match */
  #pick(
    request: number,
    wanted: Wanted,
    { left, all }: { readonly left: number; readonly all?: readonly PublishedDevice[] },
  ): boolean {
    if (left === 0) return this.#from(request + 1);
    if (this.#picks.length + left > MOST_DEVICES) {
      const asked = this.#picks.length + left;
      throw new NotAllocatable(
        `${wanted.path}: asks for ${asked} devices; a claim can have at most ${MOST_DEVICES}`,
      );
    }
    for (const device of all ? [all[all.length - left]!] : this.#devices) {
      if (++this.#steps > MOST_STEPS) throw new NotAllocatable("too many combinations to try");
      // A device after the one that is taken is not looked at: its selector may fail.
      if (!this.#matches(wanted, device) || !this.#fits(wanted, device)) continue;
      const use = wanted.adminAccess
        ? { device, consumed: {} }
        : this.#used.take(device, wanted.capacity);
      if (!use) continue;
      this.#picks.push({ wanted, ...use });
      if (this.#pick(request, wanted, { left: left - 1, ...(all && { all }) })) return true;
      this.#picks.pop();
      if (!wanted.adminAccess) this.#used.giveBack(use);
    }
    return false;
  }

  #matches(wanted: Wanted, device: PublishedDevice): boolean {
    return this.#misfit(wanted, device) === undefined;
  }

  #misfit(wanted: Wanted, device: PublishedDevice): string | undefined {
    const known = this.#looked.get(wanted) ?? new Map<PublishedDevice, string | undefined>();
    this.#looked.set(wanted, known);
    if (!known.has(device)) known.set(device, misfit(device, wanted));
    return known.get(device);
  }

  /** By the claim's constraints, with what was picked before. */
  #fits(wanted: Wanted, device: PublishedDevice): boolean {
    return this.#constraints.every(({ requests, matchAttribute, distinctAttribute }) => {
      const concerns = (request: string) =>
        !requests?.length || requests.includes(request) ||
        requests.includes(request.split("/")[0]!);
      if (!concerns(wanted.request)) return true;
      const attribute = matchAttribute ?? distinctAttribute;
      if (attribute === undefined) return true;
      const value = valueOf(device, attribute);
      if (value === undefined) return false;
      const others = this.#picks.filter((pick) => concerns(pick.wanted.request))
        .map((pick) => valueOf(pick.device, attribute));
      return matchAttribute === undefined
        ? !others.includes(value)
        : others.every((other) => other === value);
    });
  }

  #why(wanted: Wanted): string {
    const fitting = this.#devices.filter((device) => this.#matches(wanted, device));
    if (fitting.length > 0) {
      const which = fitting.map(({ name }) => name).join(", ");
      const constrained = this.#constraints.length > 0 ? " and fit the claim's constraints" : "";
      const number = wanted.count ?? fitting.length;
      return `${wanted.path}: fewer than ${number} of the devices that match (${which}) have capacity left` +
        constrained;
    }
    const reasons = this.#devices.map((device) =>
      `${device.name}: ${this.#misfit(wanted, device)}`
    );
    return `${wanted.path}: no device matches: ${reasons.join("; ")}`;
  }
}

/** As text that is the same for the same value; the driver is the domain of names without one. */
function valueOf(
  { driver, attributes = {} }: PublishedDevice,
  attribute: string,
): string | undefined {
  const value = attributes[attribute] ??
    (attribute.startsWith(`${driver}/`)
      ? attributes[attribute.slice(driver.length + 1)]
      : undefined);
  return value && JSON.stringify(value);
}
