import { failure } from "./failure.ts";
import { isNamePrefix, validateSlice } from "./slice_validation.ts";
import type { StoredDevice, StoredSlice } from "./stored_slice.ts";

export const SLICES_PATH = "/apis/resource.k8s.io/v1/resourceslices";

/** How many characters of a prefix become part of the name. */
const GENERATED_LENGTH = 58;

interface Watcher {
  readonly matches: (slice: StoredSlice) => boolean;
  readonly stream: ReadableStreamDefaultController<Uint8Array>;
}

/** The ResourceSlices of a simulated API server: list, watch, create, update, delete, also of all. */
export class ResourceSlices {
  readonly #slices = new Map<string, StoredSlice>();
  readonly #watchers = new Set<Watcher>();
  #version = 0;
  /** Writes that changed something, without dry runs. */
  writes = 0;
  /** Drops the fields of disabled features silently, as the real API server does. */
  readonly features = { sharing: true, taints: true };

  all(): StoredSlice[] {
    return [...this.#slices.values()];
  }

  /** All devices that are published. */
  devices(): StoredDevice[] {
    return this.all().flatMap(({ spec }) => spec.devices ?? []);
  }

  /** Removes a driver's slices, as the kubelet does when it starts. */
  deleteAll(): void {
    for (const { metadata } of this.all()) this.delete(metadata.name);
  }

  delete(name: string): StoredSlice | undefined {
    const slice = this.#slices.get(name);
    if (!slice) return undefined;
    this.#slices.delete(name);
    this.#tell("DELETED", slice);
    return slice;
  }

  /** How many watches are open. */
  get watches(): number {
    return this.#watchers.size;
  }

  /** Ends all watches, as the API server does every few minutes. */
  endWatches(): void {
    for (const { stream } of this.#watchers) stream.close();
    this.#watchers.clear();
  }

  async answer(request: Request, url: URL): Promise<Response> {
    const name = decodeURIComponent(url.pathname.slice(SLICES_PATH.length + 1));
    const dryRun = url.searchParams.get("dryRun") === "All";
    switch (`${request.method} ${name === "" ? "all" : "one"}`) {
      case "GET all":
        return url.searchParams.get("watch") === "true" ? this.#watch(url) : this.#list(url);
      case "POST all":
        return this.#create(await request.json(), dryRun);
      case "DELETE all": {
        for (const { metadata } of this.all().filter(selector(url))) this.delete(metadata.name);
        return Response.json({ kind: "Status", apiVersion: "v1", status: "Success" });
      }
      case "PUT one":
        return this.#update(name, await request.json());
      case "DELETE one": {
        const slice = this.delete(name);
        if (!slice) return missing(name);
        this.writes++;
        return Response.json(slice);
      }
    }
    return failure(405, "MethodNotAllowed", `${request.method} is not allowed`);
  }

  #list(url: URL): Response {
    const items = this.all().filter(selector(url));
    return Response.json({
      apiVersion: "resource.k8s.io/v1",
      kind: "ResourceSliceList",
      metadata: { resourceVersion: `${this.#version}` },
      items,
    });
  }

  #watch(url: URL): Response {
    let watcher: Watcher;
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        watcher = { matches: selector(url), stream };
        this.#watchers.add(watcher);
        for (const slice of this.all().filter(watcher.matches)) send(stream, "ADDED", slice);
      },
      cancel: () => void this.#watchers.delete(watcher),
    });
    return new Response(body, { headers: { "Content-Type": "application/json" } });
  }

  #create(body: StoredSlice, dryRun: boolean): Response {
    const random = crypto.randomUUID().slice(0, 5);
    const prefix = String(body.metadata.generateName ?? "");
    if (body.metadata.name === undefined && !isNamePrefix(prefix)) {
      const said = `metadata.generateName: Invalid value: "${prefix}"`;
      return failure(422, "Invalid", `ResourceSlice.resource.k8s.io "" is invalid: ${said}`);
    }
    const name = body.metadata.name ?? `${prefix.slice(0, GENERATED_LENGTH)}${random}`;
    if (this.#slices.has(name)) {
      return failure(409, "AlreadyExists", `resourceslices.resource.k8s.io "${name}" exists`);
    }
    return this.#store({
      ...body,
      metadata: { ...body.metadata, name, uid: crypto.randomUUID() },
    }, { type: "ADDED", dryRun });
  }

  #update(name: string, body: StoredSlice): Response {
    const before = this.#slices.get(name);
    if (!before) return missing(name);
    if (body.metadata.resourceVersion !== before.metadata.resourceVersion) {
      const said = "the object has been modified; please apply your changes to the latest version";
      return failure(409, "Conflict", `resourceslices.resource.k8s.io "${name}": ${said}`);
    }
    const identity = ({ spec }: StoredSlice) => [spec.driver, spec.nodeName, spec.pool.name].join();
    if (identity(body) !== identity(before)) {
      return failure(422, "Invalid", `ResourceSlice "${name}" is invalid: field is immutable`);
    }
    return this.#store(body, { type: "MODIFIED", dryRun: false });
  }

  #store(
    slice: StoredSlice,
    { type, dryRun }: { readonly type: string; readonly dryRun: boolean },
  ): Response {
    const { name } = slice.metadata;
    const problems = validateSlice(slice.spec);
    if (problems.length > 0) {
      const said = `ResourceSlice.resource.k8s.io "${name}" is invalid: ${problems.join(", ")}`;
      return failure(422, "Invalid", said);
    }
    const stored: StoredSlice = {
      ...slice,
      metadata: { ...slice.metadata, resourceVersion: `${++this.#version}` },
      spec: { ...slice.spec, devices: slice.spec.devices?.map((device) => this.#keep(device)) },
    };
    if (!dryRun) {
      this.writes++;
      this.#slices.set(name, stored);
      this.#tell(type, stored);
    }
    return Response.json(stored, { status: type === "ADDED" ? 201 : 200 });
  }

  #keep(device: StoredDevice): StoredDevice {
    const { allowMultipleAllocations: sharing, taints, capacity, ...rest } = device;
    const capacities = Object.entries(capacity ?? {}).map(([name, { requestPolicy, ...more }]) => [
      name,
      { ...more, ...(this.features.sharing && requestPolicy !== undefined && { requestPolicy }) },
    ]);
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    return {
      ...rest,
      ...(capacity && { capacity: Object.fromEntries(capacities) }),
      ...(this.features.sharing && sharing !== undefined && { allowMultipleAllocations: sharing }),
      ...(this.features.taints && taints &&
        { taints: taints.map((taint) => ({ timeAdded: now, ...taint })) }),
    };
  }

  #tell(type: string, slice: StoredSlice): void {
    for (const { matches, stream } of this.#watchers) {
      if (matches(slice)) send(stream, type, slice);
    }
  }
}

function send(
  stream: ReadableStreamDefaultController<Uint8Array>,
  type: string,
  object: StoredSlice,
): void {
  stream.enqueue(new TextEncoder().encode(`${JSON.stringify({ type, object })}\n`));
}

/** The field selectors that ResourceSlices have: spec.driver and spec.nodeName. */
function selector(url: URL): (slice: StoredSlice) => boolean {
  const wanted = (url.searchParams.get("fieldSelector") ?? "").split(",").filter((term) => term);
  return ({ spec }) =>
    wanted.every((term) => {
      const [field, value] = term.split("=");
      return value === { "spec.driver": spec.driver, "spec.nodeName": spec.nodeName }[field!];
    });
}

function missing(name: string): Response {
  return failure(404, "NotFound", `resourceslices.resource.k8s.io "${name}" not found`);
}
