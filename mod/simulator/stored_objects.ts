import { failure } from "./failure.ts";

type Fields = Readonly<Record<string, unknown>>;

/** So many changes are remembered. */
const CHANGES = 1_000;

/** An object as it is stored. */
export interface StoredObject extends Fields {
  readonly metadata: Fields & { readonly name: string; readonly namespace?: string };
}

/** Of an object's metadata, what a delete can depend on, and how the API server names it. */
const PRECONDITIONS = [["uid", "UID"], ["resourceVersion", "ResourceVersion"]] as const;

/**
 * The objects of the kinds that agents list and watch: a cluster has a kind once it has an object, or
 * once it is served. Of kinds that are served, agents create and delete objects, too.
 */
export class StoredObjects {
  readonly #kinds = new Map<string, Map<string, StoredObject>>();
  readonly #served = new Set<string>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  /** What has happened lately, so that watches go on from where their list ended. */
  readonly #changes: Change[] = [];
  #version = 0;

  /** @param path of the kind's list in the whole cluster */
  put(path: string, object: StoredObject): void {
    const stored = this.#kinds.get(path) ?? new Map<string, StoredObject>();
    this.#kinds.set(path, stored);
    const type = stored.has(keyOf(object)) ? "MODIFIED" : "ADDED";
    const kept = this.#versioned(object);
    stored.set(keyOf(object), kept);
    this.#tell(path, type, kept);
  }

  delete(path: string, object: StoredObject): void {
    if (this.#kinds.get(path)?.delete(keyOf(object))) {
      this.#tell(path, "DELETED", this.#versioned(object));
    }
  }

  /** How many watches are open. */
  get watches(): number {
    return [...this.#watchers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Ends all watches, as the API server does every few minutes. */
  endWatches(): void {
    for (const { stream } of [...this.#watchers.values()].flatMap((all) => [...all])) {
      stream.close();
    }
    this.#watchers.clear();
  }

  /** Lets agents create and delete objects of a kind. @param path of the kind's list */
  serve(path: string): void {
    this.#served.add(path);
    if (!this.#kinds.has(path)) this.#kinds.set(path, new Map());
  }

  all(path: string): StoredObject[] {
    return [...this.#kinds.get(path)?.values() ?? []];
  }

  /** Undefined where the request is not about such a kind. */
  async answer(request: Request, url: URL): Promise<Response | undefined> {
    const path = this.#kinds.has(url.pathname)
      ? url.pathname
      : url.pathname.slice(0, url.pathname.lastIndexOf("/"));
    const stored = this.#kinds.get(path);
    if (!stored) return undefined;
    const name = decodeURIComponent(url.pathname.slice(path.length + 1));
    if (name !== "") {
      return this.#served.has(path) ? await this.#one(request, path, name) : undefined;
    }
    if (request.method === "POST" && this.#served.has(path)) {
      return this.#create(path, await request.json());
    }
    if (request.method !== "GET") return undefined;
    const isWanted = selection(url.searchParams.get("fieldSelector"));
    if (url.searchParams.get("watch") === "true") return this.#watch(path, url, isWanted);
    return Response.json({
      metadata: { resourceVersion: `${this.#version}` },
      items: [...stored.values()].filter(isWanted),
    });
  }

  #create(path: string, object: StoredObject): Response {
    const { name } = object.metadata;
    if (this.#kinds.get(path)!.has(keyOf(object))) {
      return failure(409, "AlreadyExists", `${path} "${name}" already exists`);
    }
    this.put(path, { ...object, metadata: { ...object.metadata, uid: crypto.randomUUID() } });
    return Response.json(this.#kinds.get(path)!.get(keyOf(object)), { status: 201 });
  }

  async #one(request: Request, path: string, name: string): Promise<Response> {
    const object = this.#kinds.get(path)!.get(`/${name}`);
    if (!object) return failure(404, "NotFound", `${path} "${name}" not found`);
    switch (request.method) {
      case "GET":
        return Response.json(object);
      case "PUT": {
        const changed = await request.json() as StoredObject;
        if (changed.metadata.resourceVersion !== object.metadata.resourceVersion) {
          return failure(409, "Conflict", `${path} "${name}" has been modified`);
        }
        this.put(path, { ...changed, metadata: object.metadata });
        return Response.json(this.#kinds.get(path)!.get(`/${name}`));
      }
      case "DELETE": {
        const body = await request.text();
        const wanted = body === "" ? {} : JSON.parse(body).preconditions ?? {};
        for (const [key, name] of PRECONDITIONS) {
          const [expected, is] = [wanted[key], object.metadata[key]];
          if (expected === undefined || expected === is) continue;
          const said = `Precondition failed: ${name} in precondition: ${expected}, ${name} in `;
          return failure(409, "Conflict", `${said}object meta: ${is}`);
        }
        this.delete(path, object);
        return Response.json({ kind: "Status", apiVersion: "v1", status: "Success" });
      }
      default:
        return failure(405, "MethodNotAllowed", `${request.method} is not allowed`);
    }
  }

  #versioned(object: StoredObject): StoredObject {
    return { ...object, metadata: { ...object.metadata, resourceVersion: `${++this.#version}` } };
  }

  #watch(path: string, { searchParams }: URL, isWanted: Watcher["isWanted"]): Response {
    const from = Number(searchParams.get("resourceVersion") ?? this.#version);
    const oldest = this.#changes[0]?.version ?? this.#version;
    if (this.#changes.length === CHANGES && from < oldest - 1) {
      return failure(410, "Expired", `too old resource version: ${from} (${oldest})`);
    }
    const missed = this.#changes.filter((change) =>
      change.path === path && change.version > from && isWanted(change.object)
    );
    const all = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, all);
    let mine: Watcher;
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        for (const { line } of missed) stream.enqueue(line);
        all.add(mine = { stream, isWanted });
      },
      cancel: () => void all.delete(mine),
    });
    return new Response(body, { headers: { "Content-Type": "application/json" } });
  }

  #tell(path: string, type: string, object: StoredObject): void {
    const line = new TextEncoder().encode(`${JSON.stringify({ type, object })}\n`);
    const version = Number(object.metadata.resourceVersion);
    this.#changes.push({ version, path, object, line });
    if (this.#changes.length > CHANGES) this.#changes.shift();
    for (const { stream, isWanted } of this.#watchers.get(path) ?? []) {
      if (isWanted(object)) stream.enqueue(line);
    }
  }
}

interface Change {
  readonly version: number;
  readonly path: string;
  readonly object: StoredObject;
  /** As watches are told. */
  readonly line: Uint8Array;
}

/** A client that watches a kind's objects, or some of them. */
interface Watcher {
  readonly stream: ReadableStreamDefaultController<Uint8Array>;
  readonly isWanted: (object: StoredObject) => boolean;
}

/** What a field selector such as `spec.node=a,spec.network=b` selects. */
function selection(selector: string | null): Watcher["isWanted"] {
  const terms = (selector ?? "").split(",").filter((term) => term !== "").map((term) => {
    const [field = "", value] = term.split("=");
    return { keys: field.split("."), value };
  });
  return (object) =>
    terms.every(({ keys, value }) => {
      const found = keys.reduce<unknown>((at, key) => (at as Fields | undefined)?.[key], object);
      return found === value;
    });
}

function keyOf({ metadata: { namespace, name } }: StoredObject): string {
  return `${namespace ?? ""}/${name}`;
}
