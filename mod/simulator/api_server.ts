import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "../async/error_message.ts";
import { SimulatedEvents } from "./events.ts";
import { failure } from "./failure.ts";
import { applyJsonPatch, type JsonPatchOperation } from "./json_patch.ts";
import { ResourceSlices, SLICES_PATH } from "./resource_slices.ts";
import { StoredObjects } from "./stored_objects.ts";
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
 * and the tests: GET of a claim, server-side apply and JSON Patch of its status, with the real one's
 * validation and ownership of list entries by field manager; the slices of a node; GET of a Node, and
 * of a Pod for which claims are reserved; lists and watches of what networks are read from.
 */
export class SimulatedApiServer {
  readonly events = new SimulatedEvents();
  readonly slices = new ResourceSlices();
  /** Networks, NetworkAttachmentDefinitions and namespaces. */
  readonly objects = new StoredObjects();
  readonly #nodes = new Map<string, string>();
  readonly #claims = new Map<string, StoredClaim>();
  /** Which managers own each entry of status.devices, by claim UID and entry. */
  readonly #owners = new Map<string, Set<string>>();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #version = 0;
  /** Gives a fault to answer with, or undefined for the real answer. */
  fault: (request: Request) => Response | undefined | Promise<Response | undefined> = () =>
    undefined;

  /** @param port the port to listen on; any free one by default */
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
    // The server waits until its answers end, and a watch never ends.
    this.slices.endWatches();
    this.objects.endWatches();
    await this.#server?.shutdown();
    this.#server = undefined;
  }

  get url(): string {
    if (!this.#server) throw new Error("the API server is not started");
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** A kubeconfig for this server (JSON, which is YAML, too). */
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

  /** Stores a claim and replaces one with the same name. Gives it a UID if it has none. */
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
    const listed = await this.objects.answer(request, url);
    if (listed) return listed;
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
      const body = await request.text();
      switch (type) {
        case "application/apply-patch+yaml":
          return this.#apply(claim, JSON.parse(body), url.searchParams);
        case "application/json-patch+json":
          return this.#patch(claim, JSON.parse(body));
        default:
          return failure(415, "UnsupportedMediaType", `the body's type ${type} is not supported`);
      }
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
    // Pods with the same name come one after the other.
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
    const refused = refusalOf(claim, devices.entries);
    if (refused) return refused;
    devices.commit();
    return this.#store(claim, devices.entries);
  }

  /** JSON Patch. What it adds is owned by nobody here: an apply of its manager does not remove it. */
  #patch(claim: StoredClaim, operations: readonly JsonPatchOperation[]): Response {
    let patched: StoredClaim;
    try {
      patched = applyJsonPatch(claim, operations);
    } catch (error) {
      return failure(422, "", errorMessage(error));
    }
    if (!isDeepStrictEqual(patched.status?.allocation, claim.status?.allocation)) {
      const said = "status.allocation: Invalid value: field is immutable";
      return failure(422, "Invalid", said, ["status.allocation"]);
    }
    const entries = patched.status?.devices ?? [];
    const refused = refusalOf(claim, entries);
    if (refused) return refused;
    const left = new Set(entries.map(deviceKey));
    for (const key of (claim.status?.devices ?? []).map(deviceKey)) {
      if (!left.has(key)) this.#owners.delete(`${claim.metadata.uid} ${key}`);
    }
    return this.#store(claim, entries);
  }

  #store(claim: StoredClaim, entries: Fields[]): Response {
    claim.status = { ...claim.status, devices: entries };
    if (entries.length === 0) delete claim.status.devices;
    (claim.metadata as Fields).resourceVersion = `${++this.#version}`;
    return Response.json(claim);
  }

  /** The new status.devices, and the owners of its entries once it is accepted. */
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
      // Fields that an applier leaves out are removed, unless another manager also applied the entry.
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

/** The answer to entries that are not valid. */
function refusalOf(claim: StoredClaim, entries: readonly Fields[]): Response | undefined {
  const problems = validateDeviceStatuses(entries, claim.status?.allocation);
  if (problems.length === 0) return undefined;
  const said = `ResourceClaim.resource.k8s.io "${claim.metadata.name}" is invalid: `;
  return failure(422, "Invalid", said + problems.join(", "));
}

function mergeEntry(entry: Fields, applied: Fields): Fields {
  const conditions = new Map(
    [entry.conditions, applied.conditions].flatMap((all) =>
      ((all ?? []) as Fields[]).map((condition) => [condition.type, condition] as const)
    ),
  );
  return { ...entry, ...applied, conditions: [...conditions.values()] };
}
