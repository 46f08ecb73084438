import { join } from "node:path";
import {
  DRAPlugin as DRAPluginV1,
  type NodePrepareResourceResponse,
  type NodeUnprepareResourceResponse,
} from "../../proto/gen/dra/dra_v1_pb.ts";
import { DRAPlugin as DRAPluginV1Beta1 } from "../../proto/gen/dra/dra_v1beta1_pb.ts";
import {
  DRAResourceHealth,
  type NodeWatchResourcesResponse,
} from "../../proto/gen/dra/health_v1_pb.ts";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { GrpcClient } from "../grpc/client.ts";

/** The kubelet's time-outs, in milliseconds. */
const GET_INFO = 1_000;
const NOTIFY = 5_000;
const CALL = 45_000;
/** How often the registry folder is read. */
const POLL = 20;

const SERVICES = { "v1.DRAPlugin": DRAPluginV1, "v1beta1.DRAPlugin": DRAPluginV1Beta1 } as const;
type Version = keyof typeof SERVICES;

interface Driver {
  readonly name: string;
  readonly version: Version;
  readonly client: GrpcClient;
  readonly supportedVersions: readonly string[];
}

export interface SimulatedKubeletOptions {
  readonly kubeletDir: string;
  /** DRA versions that this kubelet knows. */
  readonly versions?: readonly Version[];
}

/**
 * A kubelet as DRA drivers see it, for `try` and the tests: it finds registry sockets, registers
 * what it finds there, and calls Prepare and Unprepare.
 */
export class SimulatedKubelet {
  readonly #registry: string;
  readonly #versions: readonly Version[];
  /** By the name of their registry socket, in the order of registration. */
  readonly #drivers = new Map<string, Driver>();
  readonly #seen = new Map<string, string>();
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;

  constructor({ kubeletDir, versions }: SimulatedKubeletOptions) {
    this.#registry = join(kubeletDir, "plugins_registry");
    this.#versions = versions ?? ["v1.DRAPlugin", "v1beta1.DRAPlugin"];
  }

  async start(): Promise<void> {
    await Deno.mkdir(this.#registry, { recursive: true, mode: 0o750 });
    this.#loop = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    for (const { client } of this.#drivers.values()) client.destroy();
    this.#drivers.clear();
  }

  /** Resolves when the driver is registered. */
  async registered(driver: string, signal?: AbortSignal): Promise<void> {
    while (!this.#newest(driver)) {
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  /** The versions that a registered driver said it supports. */
  supportedVersions(driver: string): readonly string[] {
    return this.#driver(driver).supportedVersions;
  }

  /** Prepares the claims of one pod; the answers by UID. */
  async prepare(
    driver: string,
    claims: readonly ClaimRef[],
  ): Promise<Record<string, NodePrepareResourceResponse>> {
    const { version, client } = this.#driver(driver);
    const method = SERVICES[version].method
      .nodePrepareResources as typeof DRAPluginV1.method.nodePrepareResources;
    const response = await client.call(method, { claims: claims as never }, { timeout: CALL });
    return response.claims;
  }

  /** Unprepares claims; the answers by UID. */
  async unprepare(
    driver: string,
    claims: readonly ClaimRef[],
    timeout = CALL,
  ): Promise<Record<string, NodeUnprepareResourceResponse>> {
    const { version, client } = this.#driver(driver);
    const method = SERVICES[version].method
      .nodeUnprepareResources as typeof DRAPluginV1.method.nodeUnprepareResources;
    const response = await client.call(method, { claims: claims as never }, { timeout });
    return response.claims;
  }

  watchHealth(driver: string, signal: AbortSignal): AsyncIterable<NodeWatchResourcesResponse> {
    const { client } = this.#driver(driver);
    return client.stream(DRAResourceHealth.method.nodeWatchResources, {}, signal);
  }

  /** The kubelet calls the instance of a driver that registered last. */
  #newest(name: string): Driver | undefined {
    return [...this.#drivers.values()].findLast((driver) => driver.name === name);
  }

  #driver(name: string): Driver {
    const driver = this.#newest(name);
    if (!driver) throw new Error(`DRA driver ${name} is not registered`);
    return driver;
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const found = new Set<string>();
      for await (const { name } of Deno.readDir(this.#registry)) {
        if (name.startsWith(".") || !name.endsWith(".sock")) continue;
        found.add(name);
        const identity = await identityOf(join(this.#registry, name));
        if (identity === undefined || this.#seen.get(name) === identity) continue;
        if (await this.#register(name)) this.#seen.set(name, identity);
      }
      for (const name of this.#seen.keys()) {
        if (found.has(name)) continue;
        this.#seen.delete(name);
        this.#forget(name);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL));
    }
  }

  #forget(socket: string): void {
    this.#drivers.get(socket)?.client.close();
    this.#drivers.delete(socket);
  }

  async #register(socket: string): Promise<boolean> {
    const path = join(this.#registry, socket);
    // The kubelet's authority is the path of the socket, encoded.
    const client = new GrpcClient(path, {
      authority: encodeURIComponent(path),
    });
    try {
      const info = await client.call(Registration.method.getInfo, {}, { timeout: GET_INFO });
      const version = info.supportedVersions.find((candidate): candidate is Version =>
        this.#versions.includes(candidate as Version)
      );
      // Registered before the driver hears of it: calls may follow at once.
      if (version) {
        this.#forget(socket);
        this.#drivers.set(socket, {
          name: info.name,
          version,
          client: new GrpcClient(info.endpoint),
          supportedVersions: info.supportedVersions,
        });
      }
      await client.call(
        Registration.method.notifyRegistrationStatus,
        version
          ? { pluginRegistered: true, error: "" }
          : { pluginRegistered: false, error: "no supported version" },
        { timeout: NOTIFY },
      );
      return true;
    } catch {
      // It does not listen yet, or no longer does: try again later.
      return false;
    } finally {
      client.close();
    }
  }
}

/** The identity of a socket, which differs from that of its replacement; undefined if it does not exist. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { ino, mtime } = await Deno.lstat(path);
    return `${ino} ${mtime?.getTime()}`;
  } catch {
    return undefined;
  }
}
