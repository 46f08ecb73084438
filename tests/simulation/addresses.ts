import { ADDRESS_PATH, addressObjectName } from "../../mod/addresses/address_object.ts";
import { Notifier } from "../../mod/async/notifier.ts";
import type { Request, WatchEvent } from "../../mod/kube/connection.ts";
import { KubeError } from "../../mod/kube/error.ts";
import { copyOf } from "./copy.ts";
import type { Lease } from "./network.ts";
import type { SimulatedNode } from "./node.ts";
import { linkOf, networksOf } from "./pods.ts";
import type { World } from "./world.ts";

/** A NetworkAddress as the API server keeps it. */
export interface StoredNetworkAddress {
  readonly metadata: { readonly name: string; readonly uid: string; resourceVersion: string };
  readonly spec: {
    readonly network: string;
    readonly address: string;
    readonly node: string;
    readonly containerID: string;
    readonly ifName: string;
  };
}

interface Change {
  readonly version: number;
  readonly type: "ADDED" | "DELETED";
  readonly object: StoredNetworkAddress;
}

/** How long an API server lets a watch last, in milliseconds. */
const WATCH = { least: 2_000, most: 60_000 };
/** How often it has forgotten the changes that a watch wants to go on from. */
const FORGETS = 0.1;
/** How often another node creates the same object just before. */
const RACES = 0.1;

/** The NetworkAddresses of the API server. */
export class SimulatedAddresses {
  readonly #world: World;
  readonly objects = new Map<string, StoredNetworkAddress>();
  readonly #changes: Change[] = [];
  readonly #news = new Notifier();
  /** Addresses whose objects someone has deleted under a living pod. */
  readonly tampered = new Set<string>();
  #version = 0;
  #uids = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether a request is about them. */
  isAbout({ path }: Pick<Request, "path">): boolean {
    return path.startsWith(ADDRESS_PATH);
  }

  /** @throws KubeError */
  answer(request: Request): unknown {
    const url = new URL(request.path, "http://api");
    const name = decodeURIComponent(url.pathname.slice(ADDRESS_PATH.length + 1));
    switch (request.method) {
      case "POST":
        return this.#create(request);
      case "GET":
        return name === "" ? this.#list(url) : copyOf(this.#find(request, name));
      case "DELETE": {
        const found = this.#find(request, name);
        const { preconditions } = request.body as {
          readonly preconditions?: { readonly uid: string };
        };
        if (preconditions?.uid !== found.metadata.uid) {
          throw failed(request, 409, "the UID in the precondition does not match");
        }
        this.#remove(found);
        return { kind: "Status", status: "Success" };
      }
      default:
        throw failed(request, 405, "the method is not allowed");
    }
  }

  /** What changes after a version, until `ends`; undefined then. */
  async next(
    { path }: { readonly path: string },
    { after, ends }: { readonly after: number; readonly ends: number },
  ): Promise<WatchEvent | undefined> {
    const { scheduler } = this.#world;
    const selects = selector(new URL(path, "http://api"));
    for (;;) {
      const found = this.#changes.find(({ version, object }) => version > after && selects(object));
      if (found) return { type: found.type, object: copyOf(found.object) as never };
      if (scheduler.elapsed >= ends) return undefined;
      const cancel = scheduler.after(ends - scheduler.elapsed, () => this.#news.notify());
      await this.#news.next();
      cancel();
    }
  }

  /** How long a watch lasts that begins now. @throws KubeError where what it wants is forgotten */
  beginWatch(
    { path }: { readonly path: string },
  ): { readonly from: number; readonly ends: number } {
    const { chance, scheduler } = this.#world;
    const from = Number(new URL(path, "http://api").searchParams.get("resourceVersion"));
    if (from < this.#version && chance.hits("watch expired", FORGETS)) {
      throw failed({ method: "GET", path }, 410, "too old resource version");
    }
    const ends = scheduler.elapsed + chance.between("watch", WATCH.least, WATCH.most);
    return { from, ends };
  }

  /** Someone deletes one by hand. */
  deleteByHand(choice: number): void {
    const all = [...this.objects.values()];
    const found = all[Math.floor(choice * all.length)];
    if (!found) return;
    const { network, address } = found.spec;
    this.#world.operation(`someone deletes the NetworkAddress ${found.metadata.name}`);
    this.tampered.add(addressObjectName(network, address));
    this.#remove(found);
  }

  /** An ADD uses an address: no other attachment may have it. */
  assertAlone(network: string, address: string, attachment: string): void {
    const name = addressObjectName(network, address);
    if (this.tampered.has(name)) return;
    for (const node of this.#world.nodes) {
      for (const [other, lease] of node.network.leases) {
        if (other === attachment || node.orphaned.has(other)) continue;
        if (other.split("/")[0] !== network) continue;
        if (!lease.canonical.some((each) => each.split("/")[0] === address)) continue;
        const what = `${attachment} gets ${address}, which ${other} has`;
        this.#world.trace.violation("addresses", what);
      }
    }
    const holder = this.objects.get(name);
    const [, id, ifName] = attachment.split("/");
    if (holder?.spec.containerID === id && holder?.spec.ifName === ifName) return;
    const what = `${attachment} gets ${address}, whose object is ${
      holder ? `that of ${holder.spec.containerID}` : "not there"
    }`;
    this.#world.trace.violation("addresses", what);
  }

  /** A DEL frees the addresses of an attachment: their objects must be there until it has. */
  assertHeld(attachment: string, { canonical }: Lease): void {
    const [network = "", id] = attachment.split("/");
    for (const [address = ""] of canonical.map((each) => each.split("/"))) {
      const name = addressObjectName(network, address);
      if (this.tampered.has(name) || this.objects.get(name)?.spec.containerID === id) continue;
      const what = `${address} of ${attachment} was given back before its DEL`;
      this.#world.trace.violation("addresses", what);
    }
  }

  /** Addresses of pods that live and have no object, and objects that nobody has. */
  *problems(node: SimulatedNode): Generator<string> {
    const living = new Set<string>();
    for (const sandbox of node.runtime.running) {
      for (const { network, kind } of networksOf(sandbox.pod)) {
        if (kind !== "addressed") continue;
        living.add(sandbox.id);
        const link = linkOf(sandbox, network);
        const lease = link && node.network.leases.get(link.owner);
        if (!lease) continue;
        for (const [address = ""] of lease.canonical.map((each) => each.split("/"))) {
          const name = addressObjectName(network, address);
          const holder = this.objects.get(name);
          if (holder?.spec.containerID === sandbox.id) continue;
          // Of an attachment whose record is lost, no agent knows that it has the address.
          const isTold = holder !== undefined || node.orphaned.has(link.owner);
          if (this.tampered.has(name) && isTold) continue;
          yield `${sandbox.id} has ${address}, whose object is ${
            holder ? `that of ${holder.spec.containerID}` : "not there"
          }`;
        }
      }
    }
    for (const { metadata, spec } of this.objects.values()) {
      if (spec.node !== node.name || living.has(spec.containerID)) continue;
      yield `${metadata.name} is left of ${spec.containerID}`;
    }
  }

  /** Whether sandboxes that live have all addresses of the network's small pool. */
  isFull(size: number): boolean {
    const living = new Set(
      this.#world.nodes.flatMap(({ runtime }) => runtime.running.map(({ id }) => id)),
    );
    const used = [...this.objects.values()].filter(({ spec }) =>
      spec.address.includes(".") && living.has(spec.containerID)
    );
    return used.length >= size;
  }

  #create(request: Request): unknown {
    const { metadata: { name }, spec } = request.body as StoredNetworkAddress;
    if (addressObjectName(spec.network, spec.address) !== name) {
      throw failed(request, 422, "metadata.name: must be named by network and address");
    }
    if (this.#world.chance.hits("race for an address", RACES)) this.#takeElsewhere(name, spec);
    if (this.objects.has(name)) {
      throw failed(request, 409, `networkaddresses.dra.networking "${name}" already exists`);
    }
    return copyOf(this.#put(name, spec));
  }

  #put(name: string, spec: StoredNetworkAddress["spec"]): StoredNetworkAddress {
    const uid = `address-${++this.#uids}`;
    const object = copyOf({ metadata: { name, uid, resourceVersion: "" }, spec });
    this.objects.set(name, object);
    this.#changed("ADDED", object);
    this.#world.trace.note(`${name} is taken by ${spec.containerID}`);
    return object;
  }

  /** A node that is not simulated has it first, for some seconds. */
  #takeElsewhere(name: string, spec: StoredNetworkAddress["spec"]): void {
    if (this.objects.has(name)) return;
    const { chance, scheduler } = this.#world;
    const object = this.#put(name, { ...spec, node: "elsewhere", containerID: "elsewhere" });
    scheduler.after(chance.between("elsewhere", 100, 5_000), () => {
      if (this.objects.get(name) === object) this.#remove(object);
    });
  }

  #list(url: URL): unknown {
    const items = [...this.objects.values()].filter(selector(url));
    return { items: copyOf(items), metadata: { resourceVersion: `${this.#version}` } };
  }

  #find(request: Request, name: string): StoredNetworkAddress {
    const found = this.objects.get(name);
    if (found) return found;
    throw failed(request, 404, `networkaddresses.dra.networking "${name}" not found`);
  }

  #remove(object: StoredNetworkAddress): void {
    this.objects.delete(object.metadata.name);
    this.#changed("DELETED", object);
    this.#world.trace.note(`${object.metadata.name} of ${object.spec.containerID} is free`);
  }

  #changed(type: Change["type"], object: StoredNetworkAddress): void {
    const version = ++this.#version;
    object.metadata.resourceVersion = `${version}`;
    this.#changes.push({ version, type, object: copyOf(object) });
    this.#news.notify();
  }
}

function selector({ searchParams }: URL): (object: StoredNetworkAddress) => boolean {
  const [field = "", value] = searchParams.get("fieldSelector")?.split("=") ?? [];
  const key = field.replace(/^spec\./, "") as keyof StoredNetworkAddress["spec"];
  return ({ spec }) => field === "" || spec[key] === value;
}

function failed(
  { method, path }: Pick<Request, "method" | "path">,
  status: number,
  problem: string,
): KubeError {
  return new KubeError({ verb: method, path, status, problem });
}
