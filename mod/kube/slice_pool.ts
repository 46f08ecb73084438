import { isDeepStrictEqual } from "node:util";
import type { DevicePool } from "../agent/ports.ts";
import type { NodeDevice, OfferedDevice } from "../agent/model.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { notServed, RESOURCE_API } from "./resource_api.ts";
import type { ResourceSlice, SliceDevice } from "./resource_slice.ts";
import {
  nodeDevices,
  type ServedFeatures,
  type SharingOptions,
  sliceDevices,
} from "./slice_devices.ts";

export interface SlicePoolOptions extends SharingOptions {
  readonly nodeName: string;
}

const PATH = `/apis/${RESOURCE_API}/resourceslices`;
/** The API server ends a watch after this, in seconds; a new one notices what this one missed. */
const WATCH_TIME_S = 300;

/** A watch that was to have ended by this much is lost, in milliseconds. */
const WATCH_GRACE_MS = 15_000;

/** A slice as it is and the devices that it shall have. */
interface Match {
  readonly slice?: ResourceSlice;
  readonly devices: readonly SliceDevice[];
}

/** The node's pool of devices: the ResourceSlices of the driver on this node. */
export class SlicePool implements DevicePool {
  readonly #connection: KubeConnection;
  readonly #options: SlicePoolOptions;
  readonly #mine: string;
  #served: ServedFeatures | undefined;
  /** What the API server made of devices that it did not keep as they were sent. */
  #adopted: { readonly sent: readonly SliceDevice[]; readonly kept: readonly SliceDevice[] }[] = [];

  constructor(connection: KubeConnection, options: SlicePoolOptions) {
    this.#connection = connection;
    this.#options = options;
    const { driver, nodeName } = options;
    this.#mine = `fieldSelector=${
      encodeURIComponent(`spec.driver=${driver},spec.nodeName=${nodeName}`)
    }`;
  }

  async published(signal: AbortSignal): Promise<NodeDevice[]> {
    return nodeDevices((await this.#list(signal)).flatMap(({ spec }) => spec.devices ?? []));
  }

  async publish(devices: readonly OfferedDevice[], signal: AbortSignal): Promise<boolean> {
    this.#served ??= await this.#probe(signal);
    const wanted = sliceDevices(devices, { ...this.#options, served: this.#served });
    const all = await this.#list(signal);
    // A pool with a different name is one that the node's driver no longer has.
    const own = all.filter(({ spec }) => spec.pool.name === this.#options.nodeName);
    const generation = Math.max(0, ...own.map(({ spec }) => spec.pool.generation));
    const matches = match(wanted, own);
    const used = new Set(matches.map(({ slice }) => slice));
    const obsolete = all.filter((slice) => !used.has(slice));
    const isCurrent = ({ slice, devices: sent }: Match) =>
      slice !== undefined && this.#isKept(sent, slice.spec.devices ?? []) &&
      slice.spec.pool.resourceSliceCount === wanted.length &&
      slice.spec.pool.generation === generation;
    if (obsolete.length === 0 && matches.every(isCurrent)) return false;
    this.#adopted = [];
    for (const slice of obsolete) await this.#delete(slice, signal);
    const pool = {
      name: this.#options.nodeName,
      generation: generation + 1,
      resourceSliceCount: wanted.length,
    };
    for (const each of matches) await this.#write(each, { pool, signal });
    return true;
  }

  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    const path = `${PATH}?watch=true&timeoutSeconds=${WATCH_TIME_S}&${this.#mine}`;
    try {
      const limit = WATCH_TIME_S * 1000 + WATCH_GRACE_MS;
      for await (const event of this.#connection.watch({ path, limit, signal })) {
        if (event?.type === "ERROR") return;
        if (event?.type !== "BOOKMARK") yield;
      }
    } catch (error) {
      throw explained(error);
    } finally {
      // It may come back as another release, with other features; one of several ends its watches first.
      this.#served = undefined;
    }
  }

  async #list(signal: AbortSignal): Promise<ResourceSlice[]> {
    try {
      const path = `${PATH}?${this.#mine}`;
      const answer = await this.#connection.request({ method: "GET", path, signal });
      return (answer as { items?: ResourceSlice[] }).items ?? [];
    } catch (error) {
      throw explained(error);
    }
  }

  /**
   * Which features the API server keeps, learned from a creation that it only pretends to do:
   * publishing first and looking then would show the scheduler devices that are withdrawn again.
   */
  async #probe(signal: AbortSignal): Promise<ServedFeatures> {
    const served: ServedFeatures = { sharing: true, taints: true };
    const device = { name: "probe", attributes: {}, down: true, allocated: [] };
    const [devices] = sliceDevices([device], { ...this.#options, served });
    const pool = { name: this.#options.nodeName, generation: 1, resourceSliceCount: 1 };
    const kept = await this.#create({ devices: devices!, pool, signal, dryRun: true });
    const [probe] = kept.spec.devices ?? [];
    return {
      sharing: probe?.allowMultipleAllocations === true,
      taints: (probe?.taints?.length ?? 0) > 0,
    };
  }

  async #write(
    { slice, devices }: Match,
    { pool, signal }: {
      readonly pool: ResourceSlice["spec"]["pool"];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const kept = slice
      ? await this.#update(
        { ...slice, spec: { ...slice.spec, pool, devices: keepTimes(devices, slice) } },
        signal,
      )
      : await this.#create({ devices, pool, signal });
    const sliceKept = kept.spec.devices ?? [];
    if (!this.#isKept(devices, sliceKept)) {
      this.#adopted.push({ sent: devices, kept: withoutTimes(sliceKept) });
    }
  }

  async #update(slice: ResourceSlice, signal: AbortSignal): Promise<ResourceSlice> {
    const path = `${PATH}/${slice.metadata.name}`;
    const answer = await this.#connection.request({ method: "PUT", path, body: slice, signal });
    return answer as ResourceSlice;
  }

  async #create({ devices, pool, signal, dryRun = false }: {
    readonly devices: readonly SliceDevice[];
    readonly pool: ResourceSlice["spec"]["pool"];
    readonly signal: AbortSignal;
    readonly dryRun?: boolean;
  }): Promise<ResourceSlice> {
    const { driver, nodeName } = this.#options;
    const answer = await this.#connection.request({
      method: "POST",
      path: dryRun ? `${PATH}?dryRun=All` : PATH,
      body: {
        apiVersion: RESOURCE_API,
        kind: "ResourceSlice",
        metadata: {
          generateName: namePrefix(`${driver}-${nodeName}`),
          ownerReferences: [await this.#owner(signal)],
        },
        spec: { driver, nodeName, pool, devices },
      },
      signal,
    }).catch((error) => {
      throw explained(error);
    });
    return answer as ResourceSlice;
  }

  async #delete({ metadata }: ResourceSlice, signal: AbortSignal): Promise<void> {
    const path = `${PATH}/${metadata.name}`;
    try {
      await this.#connection.request({ method: "DELETE", path, signal });
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 404)) throw error;
    }
  }

  /** Read each time: a node that was registered again has another UID, and slices go with their owner. */
  async #owner(signal: AbortSignal): Promise<Record<string, unknown>> {
    const { nodeName: name } = this.#options;
    const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
    try {
      const node = await this.#connection.request({ method: "GET", path, signal });
      const { uid } = (node as { metadata: { uid: string } }).metadata;
      return { apiVersion: "v1", kind: "Node", name, uid, controller: true };
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 404)) throw error;
      throw new Error(
        `there is no Node ${JSON.stringify(name)}: give --node-name the name that the kubelet ` +
          `registered (${error.message})`,
        { cause: error },
      );
    }
  }

  #isKept(sent: readonly SliceDevice[], kept: readonly SliceDevice[]): boolean {
    const plain = withoutTimes(kept);
    return isDeepStrictEqual(sent, plain) ||
      this.#adopted.some((each) =>
        isDeepStrictEqual(each.sent, sent) && isDeepStrictEqual(each.kept, plain)
      );
  }
}

/**
 * The API server refuses prefixes of names that are longer than names, and uses 58 characters of them
 * (names.SimpleNameGenerator).
 */
function namePrefix(name: string): string {
  return `${name.slice(0, 57).replace(/[^a-z0-9]+$/, "")}-`;
}

/** Devices keep their slice, which is identified by its first device. */
function match(wanted: readonly SliceDevice[][], own: readonly ResourceSlice[]): Match[] {
  const byFirst = new Map(own.map((slice) => [slice.spec.devices?.[0]?.name, slice]));
  const kept = wanted.map((devices) => byFirst.get(devices[0]?.name));
  const free = own.filter((slice) => !kept.includes(slice));
  return wanted.map((devices, i) => ({ slice: kept[i] ?? free.shift(), devices }));
}

function withoutTimes(devices: readonly SliceDevice[]): SliceDevice[] {
  return devices.map((device) => ({
    ...device,
    ...(device.taints && { taints: device.taints.map(({ timeAdded: _, ...taint }) => taint) }),
  }));
}

/** A taint that stays keeps the time since when it is there. */
function keepTimes(devices: readonly SliceDevice[], slice: ResourceSlice): SliceDevice[] {
  const before = new Map(slice.spec.devices?.map((device) => [device.name, device]));
  return devices.map((device) => {
    const taints = device.taints?.map((taint) =>
      before.get(device.name)?.taints?.find(({ key, effect }) =>
        key === taint.key && effect === taint.effect
      ) ?? taint
    );
    return { ...device, ...(taints && { taints }) };
  });
}

function explained(error: unknown): unknown {
  if (!(error instanceof KubeError)) return error;
  if (error.status === 403) {
    return new Error(
      "the API server does not let the agent manage ResourceSlices: grant it get, list, watch, " +
        `create, update and delete of resourceslices (${error.message})`,
      { cause: error },
    );
  }
  return error.status === 404 ? notServed(error) : error;
}
