import { KubeError } from "../../mod/kube/error.ts";
import type { KubeConnection, Request } from "../../mod/kube/connection.ts";
import { abortable, type AgentProcess } from "./agent_process.ts";
import type { World } from "./world.ts";

export interface StoredClaim {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly uid: string;
    readonly ownerReferences?: readonly unknown[];
    readonly annotations?: Readonly<Record<string, string>>;
    resourceVersion: string;
  };
  status: {
    allocation?: Allocation;
    reservedFor?: { readonly resource: string; readonly name: string; readonly uid: string }[];
    devices?: StoredDevice[];
  };
}

export interface Allocation {
  readonly devices: {
    readonly results: readonly StoredDevice[];
    readonly config: readonly unknown[];
  };
}

export interface StoredDevice {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly shareID?: string;
  readonly conditions?: readonly { readonly status: string; readonly message: string }[];
  readonly networkData?: { readonly hardwareAddress?: string; readonly ips?: readonly string[] };
  readonly data?: unknown;
  readonly request?: string;
}

export interface StoredPod {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly spec: { readonly resourceClaims: readonly unknown[] };
  readonly status: { readonly resourceClaimStatuses: readonly unknown[] };
}

/** The API server as far as the agent uses it: claims with their status, and pods. */
export class SimulatedApi {
  readonly #world: World;
  readonly claims = new Map<string, StoredClaim>();
  readonly pods = new Map<string, StoredPod>();
  #versions = 0;

  constructor(world: World) {
    this.#world = world;
  }

  change(claim: StoredClaim): void {
    claim.metadata.resourceVersion = `${++this.#versions}`;
  }

  /** What stands between the agent's own client and the server: the network, and its faults. */
  connectionOf(agent: AgentProcess): KubeConnection {
    const request = (asked: Request) =>
      abortable(
        agent.process.later(`${asked.method} ${asked.path}`, () => this.#take(asked, agent)),
        asked.signal,
      );
    return { request } as unknown as KubeConnection;
  }

  async #take(request: Request, { node, process }: AgentProcess): Promise<unknown> {
    const { chance } = this.#world;
    const { faults } = node;
    const of = `${node.name} ${request.method}`;
    const slow = faults.has("apiSlow") && chance.hits(`${of} slow`, 0.6);
    await this.#world.pause(of, 1, slow ? 8_000 : 20);
    if (faults.has("apiDown")) throw failed(request, undefined, "connection refused");
    const hangs = faults.has("apiHangs") && chance.hits(`${of} hangs`, 0.5);
    const errs = faults.has("apiErrors") && chance.hits(`${of} errs`, 0.5);
    const isLost = (hangs || errs || process.dead) && chance.hits(`${of} lost`, 0.5);
    const answer = isLost ? undefined : this.#answer(request);
    await this.#world.pause(`${of} answer`, 1, slow ? 4_000 : 20);
    if (hangs) {
      await this.#world.scheduler.sleep(10_000);
      throw failed(request, undefined, "no answer");
    }
    if (errs) throw failed(request, [409, 429, 500, 503][chance.between(of, 0, 3)]!, "an error");
    return answer;
  }

  #answer(request: Request): unknown {
    const [path = ""] = request.path.split("?");
    const [, namespace, plural, name, sub] =
      path.match(/\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)(\/status)?$/) ?? [];
    const found = plural === "pods"
      ? this.pods.get(`${namespace}/${name}`)
      : this.claims.get(`${namespace}/${name}`);
    if (!found) throw failed(request, 404, `${plural} "${name}" not found`);
    if (request.method === "PATCH" && sub) this.#apply(found as StoredClaim, request);
    return structuredClone(found);
  }

  /** Server-side apply of one field manager: all its entries, and no other's. */
  #apply(claim: StoredClaim, request: Request): void {
    const { metadata, status } = request.body as {
      readonly metadata: { readonly uid?: string; readonly resourceVersion?: string };
      readonly status: { readonly devices: StoredDevice[] };
    };
    const { uid, resourceVersion } = claim.metadata;
    if (metadata.uid !== undefined && metadata.uid !== uid) {
      throw failed(request, 409, "the UID in the precondition does not match");
    }
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== resourceVersion) {
      throw failed(request, 409, "the object has been modified");
    }
    const results = claim.status.allocation?.devices.results ?? [];
    for (const entry of status.devices) {
      const known = results.some((result) =>
        result.driver === entry.driver && result.pool === entry.pool &&
        result.device === entry.device && result.shareID === entry.shareID
      );
      if (!known) throw failed(request, 422, `device ${entry.device} is not allocated`);
      // As JSON of Go has it.
      const data = JSON.stringify(entry.data ?? {}).replace(/[<>&]/g, "\\u003c");
      if (data.length > DATA_LIMIT) throw failed(request, 422, "status.devices[].data: too long");
    }
    const others = (claim.status.devices ?? []).filter(({ driver }) => driver !== DRIVER);
    claim.status.devices = [...others, ...structuredClone(status.devices)];
    this.change(claim);
    const entries = status.devices.map(({ device, pool, conditions }) =>
      `${pool}/${device} ${conditions?.[0]?.status}`
    );
    this.#world.trace.note(`status of ${claim.metadata.name}: ${entries.join(", ") || "none"}`);
  }
}

/** What `data` may have, in bytes. */
const DATA_LIMIT = 10 * 1024;

export const DRIVER = "dra.networking";

function failed({ method, path }: Request, status: number | undefined, problem: string): KubeError {
  return new KubeError({ verb: method, path, ...(status !== undefined && { status }), problem });
}
