import type { Lease, LeaseApi, ReadLease } from "../duties/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";

const API = "coordination.k8s.io/v1";

/** The Lease that says which agent of the cluster does what one does for all. */
export class KubeDutyLease implements LeaseApi {
  readonly #connection: KubeConnection;
  readonly #namespace: string;
  readonly #name: string;

  constructor(
    connection: KubeConnection,
    { namespace, name }: { readonly namespace: string; readonly name: string },
  ) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#name = name;
  }

  async read(signal: AbortSignal): Promise<ReadLease | undefined> {
    try {
      // From the API server's cache: all agents look, and a write over an old one is refused.
      const path = `${this.#path}/${encodeURIComponent(this.#name)}?resourceVersion=0`;
      return leaseOf(await this.#connection.request({ method: "GET", path, signal }));
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  }

  async write(
    lease: Lease,
    { over, signal }: { readonly over: ReadLease | undefined; readonly signal: AbortSignal },
  ): Promise<ReadLease | "conflict"> {
    const path = over ? `${this.#path}/${encodeURIComponent(this.#name)}` : this.#path;
    const body = {
      apiVersion: API,
      kind: "Lease",
      metadata: {
        namespace: this.#namespace,
        name: this.#name,
        ...(over && { resourceVersion: over.resourceVersion }),
      },
      spec: {
        holderIdentity: lease.holder,
        renewTime: lease.renewTime,
        leaseDurationSeconds: lease.duration / 1_000,
        leaseTransitions: lease.transitions,
      },
    };
    try {
      const method = over ? "PUT" : "POST";
      return leaseOf(await this.#connection.request({ method, path, body, signal }));
    } catch (error) {
      // 404: it was deleted meanwhile.
      const isChanged = error instanceof KubeError &&
        (error.status === 409 || over !== undefined && error.status === 404);
      if (isChanged) return "conflict";
      throw error;
    }
  }

  get #path(): string {
    return `/apis/${API}/namespaces/${encodeURIComponent(this.#namespace)}/leases`;
  }
}

function leaseOf(object: unknown): ReadLease {
  const { metadata, spec = {} } = object as LeaseObject;
  return {
    holder: spec.holderIdentity ?? "",
    renewTime: spec.renewTime ?? "",
    duration: 1_000 * (spec.leaseDurationSeconds ?? 0),
    transitions: spec.leaseTransitions ?? 0,
    resourceVersion: metadata.resourceVersion,
  };
}

interface LeaseObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly renewTime?: string | null;
    readonly leaseDurationSeconds?: number | null;
    readonly leaseTransitions?: number | null;
  };
}
