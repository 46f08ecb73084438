/** An interface in a namespace. */
export interface Link {
  readonly name: string;
  /** Whose it is: the attachment that a plugin made it for, or someone who is not the agent. */
  readonly owner: string;
  readonly mac: string;
  /** The kernel's number. */
  readonly index: number;
  /** When it came (virtual milliseconds). */
  readonly since: number;
  /** The node's interface that was moved here. */
  readonly device?: string;
}

/** Addresses, as an IPAM plugin prints them and as the API server wants them. */
export interface Lease {
  readonly printed: readonly string[];
  readonly canonical: readonly string[];
}

export interface NetNamespace {
  readonly path: string;
  readonly links: Map<string, Link>;
  /** Whether its path leads to it. */
  mounted: boolean;
  /** Descriptors that are open. */
  holds: number;
  /** When the agent looked last which interfaces there are; or ran its first ADD, if it never looked. */
  lookedAt: number;
}

/** What plugins leave for an attachment, by this name. */
export function attachmentName(network: string, containerID: string, ifName: string): string {
  return `${network}/${containerID}/${ifName}`;
}

/** The network namespaces, leases and interfaces of one node, as the kernel and host-local have them. */
export class NodeNetwork {
  readonly #byPath = new Map<string, NetNamespace>();
  readonly #all = new Set<NetNamespace>();
  /** By attachment. */
  readonly leases = new Map<string, Lease>();
  /** The node's interfaces that are on it now. */
  readonly devices = new Set(["eth0", "eth1", "eth2"]);
  readonly #time: () => number;
  #links = 0;
  #addresses = 0;

  /** @param time virtual milliseconds */
  constructor(time: () => number) {
    this.#time = time;
  }

  create(path: string): NetNamespace {
    const namespace = {
      path,
      links: new Map<string, Link>(),
      mounted: true,
      holds: 0,
      lookedAt: 0,
    };
    this.#byPath.set(path, namespace);
    this.#all.add(namespace);
    return namespace;
  }

  at(path: string): NetNamespace | undefined {
    return this.#byPath.get(path);
  }

  get namespaces(): NetNamespace[] {
    return [...this.#all];
  }

  unmount(namespace: NetNamespace): void {
    namespace.mounted = false;
    if (this.#byPath.get(namespace.path) === namespace) this.#byPath.delete(namespace.path);
    this.#collect(namespace);
  }

  hold(namespace: NetNamespace): () => void {
    namespace.holds++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      namespace.holds--;
      this.#collect(namespace);
    };
  }

  addLink(namespace: NetNamespace, link: Omit<Link, "mac" | "index" | "since">): Link {
    const index = ++this.#links;
    const made = { ...link, mac: macOf(index), index, since: this.#time() };
    if (link.device) this.devices.delete(link.device);
    namespace.links.set(link.name, made);
    return made;
  }

  removeLink(namespace: NetNamespace, name: string): void {
    const { device } = namespace.links.get(name) ?? {};
    if (device) this.devices.add(device);
    namespace.links.delete(name);
  }

  lease(attachment: string, isMapped: boolean): Lease {
    const number = ++this.#addresses;
    const [high, low] = [number >> 8, number & 255];
    const hex = ((high << 8) | low).toString(16);
    const lease = isMapped
      ? { printed: [`::10.1.${high}.${low}/96`], canonical: [`::a01:${hex}/96`] }
      : { printed: [`10.0.${high}.${low}/8`], canonical: [`10.0.${high}.${low}/8`] };
    this.leases.set(attachment, lease);
    return lease;
  }

  /** Of the addresses that a plugin was given. */
  staticLease(attachment: string, addresses: readonly string[]): Lease {
    const lease = { printed: addresses, canonical: addresses };
    this.leases.set(attachment, lease);
    return lease;
  }

  /** The kernel removes what no process holds any longer, and returns the node's own interfaces. */
  #collect(namespace: NetNamespace): void {
    if (namespace.mounted || namespace.holds > 0) return;
    for (const name of [...namespace.links.keys()]) this.removeLink(namespace, name);
    this.#all.delete(namespace);
  }
}

function macOf(number: number): string {
  const hex = number.toString(16).padStart(8, "0");
  return `02:00:${hex.match(/../g)!.join(":")}`;
}
