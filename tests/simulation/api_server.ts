import { errorMessage } from "../../mod/async/error_message.ts";
import { KubeError } from "../../mod/kube/error.ts";
import type { KubeConnection, Request, WatchEvent } from "../../mod/kube/connection.ts";
import { applyJsonPatch, type JsonPatchOperation } from "../../mod/simulator/json_patch.ts";
import { SimulatedAddresses } from "./addresses.ts";
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

/** What is asked of a watch. */
interface Watched {
  readonly path: string;
  readonly signal: AbortSignal;
}

/** The API server as far as the agent uses it: claims with their status, pods, and addresses. */
export class SimulatedApi {
  readonly #world: World;
  readonly claims = new Map<string, StoredClaim>();
  readonly pods = new Map<string, StoredPod>();
  readonly addresses: SimulatedAddresses;
  #versions = 0;

  constructor(world: World) {
    this.#world = world;
    this.addresses = new SimulatedAddresses(world);
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
    const watch = (asked: Watched) => this.#watch(asked, agent);
    return { request, watch, server: "the API server" } as unknown as KubeConnection;
  }

  /** Changes come late, and a watch may end at any time. */
  async *#watch(
    { path, signal }: Watched,
    agent: AgentProcess,
  ): AsyncGenerator<WatchEvent | undefined> {
    const { node: { faults, name }, process } = agent;
    const { chance } = this.#world;
    const ask = <T>(what: string, work: () => Promise<T>) =>
      abortable(process.later(`${what} ${path}`, work), signal);
    const assertUp = () => {
      if (!faults.has("apiDown")) return;
      throw failed({ method: "GET", path, signal }, undefined, "connection refused");
    };
    const { from, ends } = await ask("watch", async () => {
      await this.#world.pause(`${name} watch`, 1, 20);
      assertUp();
      return this.addresses.beginWatch({ path });
    });
    yield undefined;
    for (let after = from;;) {
      const event = await ask("next change of", async () => {
        const found = await this.addresses.next({ path }, { after, ends });
        const slow = faults.has("apiSlow") && chance.hits(`${name} watch slow`, 0.6);
        const late = chance.hits(`${name} watch late`, 0.2);
        await this.#world.pause(`${name} change`, 0, slow ? 8_000 : late ? 3_000 : 30);
        assertUp();
        return found;
      });
      if (!event) return;
      const { resourceVersion } = event.object.metadata as { readonly resourceVersion: string };
      after = Number(resourceVersion);
      yield event;
    }
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
    const answer = isLost ? undefined : this.#settled(request, node.name);
    if (request.method === "PATCH" && !isLost) agent.atStatus?.(writtenIn(request));
    await this.#world.pause(`${of} answer`, 1, slow ? 4_000 : 20);
    if (hangs) {
      await this.#world.scheduler.sleep(10_000);
      throw failed(request, undefined, "no answer");
    }
    if (errs) throw failed(request, [409, 429, 500, 503][chance.between(of, 0, 3)]!, "an error");
    if (answer && "error" in answer) throw answer.error;
    return answer?.value;
  }

  /** A refusal is on its way as long as an answer is, and can be lost like one. */
  #settled(
    request: Request,
    node: string,
  ): { readonly value: unknown } | { readonly error: unknown } {
    try {
      const isOfAddress = this.addresses.isAbout(request);
      return { value: isOfAddress ? this.addresses.answer(request) : this.#answer(request, node) };
    } catch (error) {
      return { error };
    }
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
