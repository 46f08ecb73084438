import { errorMessage } from "../../mod/async/error_message.ts";
import { KubeError } from "../../mod/kube/error.ts";
import type { KubeConnection, Request } from "../../mod/kube/connection.ts";
import { applyJsonPatch, type JsonPatchOperation } from "../../mod/simulator/json_patch.ts";
import { abortable, type AgentProcess } from "./agent_process.ts";
import { copyOf } from "./copy.ts";
import { hasSortedKeys } from "./key_order.ts";
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
    readonly config: readonly { readonly opaque: { readonly parameters: unknown } }[];
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

  async #take(request: Request, agent: AgentProcess): Promise<unknown> {
    const { node, process } = agent;
    const { chance } = this.#world;
    const { faults } = node;
    const of = `${node.name} ${request.method}`;
    const slow = faults.has("apiSlow") && chance.hits(`${of} slow`, 0.6);
    await this.#world.pause(of, 1, slow ? 8_000 : 20);
    // The last write of one node may come when another node has the claim.
    const isLast = request.method === "PATCH" && writtenIn(request).length === 0;
    if (isLast && chance.hits(`${of} late`, 0.35)) {
      await this.#world.pause(`${of} late`, 500, 5_000);
    }
    if (faults.has("apiDown")) throw failed(request, undefined, "connection refused");
    const hangs = faults.has("apiHangs") && chance.hits(`${of} hangs`, 0.5);
    const errs = faults.has("apiErrors") && chance.hits(`${of} errs`, 0.5);
    const isLost = (hangs || errs || process.dead) && chance.hits(`${of} lost`, 0.5);
    const answer = isLost ? undefined : this.#answer(request, node.name);
    if (request.method === "PATCH" && !isLost) agent.atStatus?.(writtenIn(request));
    await this.#world.pause(`${of} answer`, 1, slow ? 4_000 : 20);
    if (hangs) {
      await this.#world.scheduler.sleep(10_000);
      throw failed(request, undefined, "no answer");
    }
    if (errs) throw failed(request, [409, 429, 500, 503][chance.between(of, 0, 3)]!, "an error");
    return answer;
  }

  #answer(request: Request, node: string): unknown {
    const [path = ""] = request.path.split("?");
    const [, namespace, plural, name, sub] =
      path.match(/\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)(\/status)?$/) ?? [];
    const found = plural === "pods"
      ? this.pods.get(`${namespace}/${name}`)
      : this.claims.get(`${namespace}/${name}`);
    if (!found) throw failed(request, 404, `${plural} "${name}" not found`);
    if (request.method === "PATCH" && sub) {
      const claim = found as StoredClaim;
      const isPatch = request.contentType === "application/json-patch+json";
      const devices = isPatch ? patched(claim, request) : applied(claim, request);
      this.#write(claim, { devices, request, node });
    }
    return copyOf(found);
  }

  /** @param devices all entries as they will be */
  #write(
    claim: StoredClaim,
    { devices, request, node }: {
      readonly devices: StoredDevice[];
      readonly request: Request;
      readonly node: string;
    },
  ): void {
    const own = devices.filter(({ driver }) => driver === DRIVER);
    const results = claim.status.allocation?.devices.results ?? [];
    for (const entry of own) {
      const known = results.some((result) => isSameDevice(result, entry));
      if (!known) throw failed(request, 422, `device ${entry.device} is not allocated`);
      // As JSON of Go has it.
      const data = JSON.stringify(entry.data ?? {}).replace(/[<>&]/g, "\\u003c");
      if (data.length > DATA_LIMIT) throw failed(request, 422, "status.devices[].data: too long");
    }
    const strange = claim.status.devices?.find((entry) =>
      entry.driver === DRIVER && entry.pool !== node &&
      !own.some((each) => isSameDevice(each, entry))
    );
    if (strange) {
      const what = `${node} removes what ${strange.pool} wrote into ${claim.metadata.name}`;
      this.#world.trace.violation("others", what);
    }
    claim.status.devices = devices;
    this.change(claim);
    const entries = own.map(({ device, pool, conditions }) =>
      `${pool}/${device} ${conditions?.[0]?.status}`
    );
    this.#world.trace.note(`status of ${claim.metadata.name}: ${entries.join(", ") || "none"}`);
  }
}

/** The entries after a server-side apply of one field manager: all its own, and no other's. */
function applied(claim: StoredClaim, request: Request): StoredDevice[] {
  const { metadata } = request.body as { readonly metadata: { readonly uid?: string } };
  if (metadata.uid !== claim.metadata.uid) {
    throw failed(request, 409, "the UID in the precondition does not match");
  }
  // The keys of parameters are in alphabetical order after it.
  const config = claim.status.allocation?.devices.config ?? [];
  if (!config.every(({ opaque }) => hasSortedKeys(opaque.parameters))) {
    throw failed(request, 422, "field is immutable", ["status.allocation"]);
  }
  const others = claim.status.devices?.filter(({ driver }) => driver !== DRIVER) ?? [];
  return [...others, ...copyOf(writtenIn(request))];
}

/** The entries after a JSON Patch. */
function patched(claim: StoredClaim, request: Request): StoredDevice[] {
  try {
    const operations = request.body as readonly JsonPatchOperation[];
    return applyJsonPatch(claim, operations).status.devices ?? [];
  } catch (error) {
    throw failed(request, 422, errorMessage(error));
  }
}

/** The entries that a write of a claim's status has. */
function writtenIn({ body }: Request): StoredDevice[] {
  if (!Array.isArray(body)) {
    return (body as { readonly status: { readonly devices: StoredDevice[] } }).status.devices;
  }
  return (body as readonly JsonPatchOperation[]).flatMap(({ op, value }) =>
    op === "test" || value === undefined ? [] : value as StoredDevice | StoredDevice[]
  );
}

function isSameDevice(one: StoredDevice, other: StoredDevice): boolean {
  return one.driver === other.driver && one.pool === other.pool && one.device === other.device &&
    one.shareID === other.shareID;
}

/** What `data` may have, in bytes. */
const DATA_LIMIT = 10 * 1024;

export const DRIVER = "dra.networking";

function failed(
  { method, path }: Request,
  status: number | undefined,
  problem: string,
  fields: readonly string[] = [],
): KubeError {
  return new KubeError({
    verb: method,
    path,
    ...(status !== undefined && { status }),
    problem,
    fields,
  });
}
