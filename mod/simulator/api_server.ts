import { SimulatedEvents } from "./events.ts";
import { failure } from "./failure.ts";
import { ResourceSlices, SLICES_PATH } from "./resource_slices.ts";
import { deviceKey, validateDeviceStatuses } from "./status_validation.ts";

type Fields = Record<string, unknown>;

/** A ResourceClaim as the API server keeps it. */
export interface StoredClaim extends Fields {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly uid: string };
  status?: { allocation?: unknown; reservedFor?: unknown; devices?: Fields[] };
}

const PATH =
  /^\/apis\/resource\.k8s\.io\/v1\/namespaces\/([^/]+)\/resourceclaims\/([^/]+)(\/status)?$/;

const NODES_PATH = "/api/v1/nodes/";
const POD_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/;

/**
 * An API server that has ResourceClaims and ResourceSlices (resource.k8s.io/v1) and Events, for `try`
 * and the tests: GET of a claim and server-side apply of its status, with the real one's validation
 * and ownership of list entries by field manager; the slices of a node; GET of a Node, and of a Pod
 * for which claims are reserved.
 */
export class SimulatedApiServer {
  readonly events = new SimulatedEvents();
  readonly slices = new ResourceSlices();
  readonly #nodes = new Map<string, string>();
  readonly #claims = new Map<string, StoredClaim>();
  /** Which managers own each entry of status.devices, by claim UID and entry. */
  readonly #owners = new Map<string, Set<string>>();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #version = 0;
  /** What stands in for an answer: a fault, or undefined for the real answer. */
  fault: (request: Request) => Response | undefined | Promise<Response | undefined> = () =>
    undefined;

  /** @param port where it listens; a free one unless told */
  start({ port = 0 }: { readonly port?: number } = {}): void {
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port,
        onListen: () => {},
        // A request that was cut off when the server was stopped.
        onError: (error) => failure(500, "InternalError", String(error)),
      },
      async (request) => await this.fault(request) ?? await this.#answer(request),
    );
  }

  async stop(): Promise<void> {
    // A server waits for its answers to end, and a watch has no end.
    this.slices.endWatches();
    await this.#server?.shutdown();
    this.#server = undefined;
  }

  get url(): string {
    if (!this.#server) throw new Error("the API server is not started");
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** A kubeconfig (YAML, as JSON) that leads here. */
  kubeconfig(): string {
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{
        name: "simulated",
        cluster: { server: this.url, "insecure-skip-tls-verify": true },
      }],
      users: [{ name: "agent", user: {} }],
      contexts: [{ name: "simulated", context: { cluster: "simulated", user: "agent" } }],
      "current-context": "simulated",
    });
  }

  /** Stores a claim in place of one of that name; gives it a UID when it has none. */
  put(claim: Fields & { metadata: Fields }): StoredClaim {
    const metadata = {
      namespace: "default",
      uid: crypto.randomUUID(),
      creationTimestamp: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
      ...claim.metadata,
      resourceVersion: `${++this.#version}`,
    };
    const stored = {
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceClaim",
      ...structuredClone(claim),
      metadata,
    } as unknown as StoredClaim;
    this.#claims.set(`${stored.metadata.namespace}/${stored.metadata.name}`, stored);
    return stored;
  }

  get(namespace: string, name: string): StoredClaim | undefined {
    return this.#claims.get(`${namespace}/${name}`);
  }

  all(): StoredClaim[] {
    return [...this.#claims.values()];
  }

  delete(namespace: string, name: string): void {
    this.#claims.delete(`${namespace}/${name}`);
  }

  /** Registers a node, as its kubelet does. */
  addNode(name: string): void {
    this.#nodes.set(name, crypto.randomUUID());
  }

  async #answer(request: Request): Promise<Response> {
    const aboutEvents = await this.events.answer(request);
    if (aboutEvents) return aboutEvents;
    const url = new URL(request.url);
    if (`${url.pathname}/`.startsWith(`${SLICES_PATH}/`)) {
      return await this.slices.answer(request, url);
    }
    if (url.pathname.startsWith(NODES_PATH)) {
      return this.#node(decodeURIComponent(url.pathname.slice(NODES_PATH.length)));
    }
    const [, podNamespace, podName] = url.pathname.match(POD_PATH) ?? [];
    if (podNamespace && podName) {
      return this.#pod(decodeURIComponent(podNamespace), decodeURIComponent(podName));
    }
    const [, namespace = "", name = "", status] = url.pathname.match(PATH) ?? [];
    if (!name) return failure(404, "NotFound", "the server could not find the requested resource");
    const claim = this.get(decodeURIComponent(namespace), decodeURIComponent(name));
    if (!claim) {
      return failure(404, "NotFound", `resourceclaims.resource.k8s.io "${name}" not found`);
    }
    if (request.method === "GET" && !status) return Response.json(claim);
    if (request.method === "PATCH" && status) {
      const type = request.headers.get("Content-Type");
      if (type !== "application/apply-patch+yaml") {
        return failure(415, "UnsupportedMediaType", `the body's type ${type} is not supported`);
      }
      return this.#apply(claim, await request.json(), url.searchParams);
    }
    return failure(405, "MethodNotAllowed", `${request.method} is not allowed`);
  }

  #node(name: string): Response {
    const uid = this.#nodes.get(name);
    if (uid === undefined) return failure(404, "NotFound", `nodes "${name}" not found`);
    return Response.json({ apiVersion: "v1", kind: "Node", metadata: { name, uid } });
  }

  /** As far as it shows in the claims that are reserved for it. */
  #pod(namespace: string, name: string): Response {
    const uses = this.all().flatMap(({ metadata, status }) => {
      if (metadata.namespace !== namespace) return [];
      return ((status?.reservedFor ?? []) as Fields[])
        .filter((user) => user.resource === "pods" && user.name === name)
        .map(({ uid }) => ({ uid, claim: metadata.name }));
    });
    // Pods of one name come one after the other.
    const uid = uses.at(-1)?.uid;
    if (uid === undefined) return failure(404, "NotFound", `pods "${name}" not found`);
    const claims = uses.filter((use) => use.uid === uid).map(({ claim }) => claim);
    return Response.json({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name, uid },
      spec: { resourceClaims: claims.map((claim) => ({ name: claim, resourceClaimName: claim })) },
    });
  }

  #apply(claim: StoredClaim, body: Fields, query: URLSearchParams): Response {
    const manager = query.get("fieldManager");
    if (!manager) return failure(400, "BadRequest", "fieldManager is required for apply patch");
    const { uid, resourceVersion } = (body.metadata ?? {}) as Fields;
    if (uid !== undefined && uid !== claim.metadata.uid) {
      const said = `Precondition failed: UID in precondition: ${uid}, UID in object meta: `;
      return failure(409, "Conflict", said + claim.metadata.uid);
    }
    const current = (claim.metadata as Fields).resourceVersion;
    if (resourceVersion !== undefined && resourceVersion !== current) {
      const said = `Operation cannot be fulfilled on resourceclaims "${claim.metadata.name}": `;
      return failure(409, "Conflict", `${said}the object has been modified`);
    }
    const applied = ((body.status as Fields | undefined)?.devices ?? []) as Fields[];
    const devices = this.#merge(claim, { applied, manager });
    const problems = validateDeviceStatuses(devices.entries, claim.status?.allocation);
    if (problems.length > 0) {
      const said = `ResourceClaim.resource.k8s.io "${claim.metadata.name}" is invalid: `;
      return failure(422, "Invalid", said + problems.join(", "));
    }
    devices.commit();
    claim.status = { ...claim.status, devices: devices.entries };
    if (devices.entries.length === 0) delete claim.status.devices;
    (claim.metadata as Fields).resourceVersion = `${++this.#version}`;
    return Response.json(claim);
  }

  /** What status.devices becomes, and who owns what of it once that is accepted. */
  #merge(
    claim: StoredClaim,
    { applied, manager }: { readonly applied: readonly Fields[]; readonly manager: string },
  ): { readonly entries: Fields[]; readonly commit: () => void } {
    const ownersOf = (entry: Fields) =>
      this.#owners.get(`${claim.metadata.uid} ${deviceKey(entry)}`) ?? new Set<string>();
    const wanted = new Map(applied.map((entry) => [deviceKey(entry), entry]));
    const kept = (claim.status?.devices ?? []).filter((entry) => {
      const others = [...ownersOf(entry)].filter((owner) => owner !== manager);
      return wanted.has(deviceKey(entry)) || others.length > 0 || !ownersOf(entry).has(manager);
    });
    const entries = kept.map((entry) => {
      const mine = wanted.get(deviceKey(entry));
      const shared = [...ownersOf(entry)].some((owner) => owner !== manager);
      // What an applier leaves out of an entry goes, unless another applied the entry too.
      return mine ? shared ? mergeEntry(entry, mine) : mine : entry;
    });
    const known = new Set(kept.map(deviceKey));
    const fresh = applied.filter((entry) => !known.has(deviceKey(entry)));
    return {
      entries: [...entries, ...fresh],
      commit: () => {
        for (const entry of [...kept, ...fresh, ...(claim.status?.devices ?? [])]) {
          const owners = new Set(ownersOf(entry));
          if (wanted.has(deviceKey(entry))) owners.add(manager);
          else owners.delete(manager);
          this.#owners.set(`${claim.metadata.uid} ${deviceKey(entry)}`, owners);
        }
      },
    };
  }
}

function mergeEntry(entry: Fields, applied: Fields): Fields {
  const conditions = new Map(
    [entry.conditions, applied.conditions].flatMap((all) =>
      ((all ?? []) as Fields[]).map((condition) => [condition.type, condition] as const)
    ),
  );
  return { ...entry, ...applied, conditions: [...conditions.values()] };
}
