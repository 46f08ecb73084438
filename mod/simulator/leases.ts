import { failure } from "./failure.ts";

const PATH = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/[^/]+\/leases(\/[^/]+)?$/;

interface StoredLease {
  readonly metadata: { readonly name: string; readonly resourceVersion?: string };
}

/** Leases (coordination.k8s.io/v1): GET, and POST and PUT that must know the current version. */
export class SimulatedLeases {
  /** By path. */
  readonly #leases = new Map<string, StoredLease>();
  #version = 0;

  /** Undefined where the request is not about Leases. */
  async answer(request: Request, { pathname }: URL): Promise<Response | undefined> {
    const match = pathname.match(PATH);
    if (!match) return undefined;
    if (request.method === "GET") return this.#get(pathname);
    const lease = await request.json() as StoredLease;
    const { name, resourceVersion } = lease.metadata;
    const path = request.method === "POST" ? `${pathname}/${name}` : pathname;
    const current = this.#leases.get(path);
    if (request.method === "PUT" && !current) return this.#get(path);
    if (resourceVersion !== current?.metadata.resourceVersion) {
      return failure(409, "Conflict", `leases.coordination.k8s.io "${name}": it has been modified`);
    }
    const metadata = { ...lease.metadata, resourceVersion: `${++this.#version}` };
    const stored = { ...lease, metadata };
    this.#leases.set(path, stored);
    return Response.json(stored);
  }

  #get(path: string): Response {
    const name = path.split("/").at(-1);
    const found = this.#leases.get(path);
    if (found) return Response.json(found);
    return failure(404, "NotFound", `leases.coordination.k8s.io "${name}" not found`);
  }
}
