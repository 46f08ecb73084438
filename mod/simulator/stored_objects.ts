type Fields = Readonly<Record<string, unknown>>;

/** An object that clients only list and watch. */
export interface StoredObject extends Fields {
  readonly metadata: Fields & { readonly name: string; readonly namespace?: string };
}

/** The objects of the kinds that agents only list and watch: a cluster has a kind once it has an object. */
export class StoredObjects {
  readonly #kinds = new Map<string, Map<string, StoredObject>>();
  readonly #watchers = new Map<string, Set<ReadableStreamDefaultController<Uint8Array>>>();
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

  /** Ends all watches, as the API server does every few minutes. */
  endWatches(): void {
    for (const stream of [...this.#watchers.values()].flatMap((all) => [...all])) stream.close();
    this.#watchers.clear();
  }

  /** Undefined where the request is not about such a kind. */
  answer(request: Request, url: URL): Response | undefined {
    const stored = this.#kinds.get(url.pathname);
    if (!stored || request.method !== "GET") return undefined;
    if (url.searchParams.get("watch") === "true") return this.#watch(url.pathname);
    return Response.json({
      metadata: { resourceVersion: `${this.#version}` },
      items: [...stored.values()],
    });
  }

  #versioned(object: StoredObject): StoredObject {
    return { ...object, metadata: { ...object.metadata, resourceVersion: `${++this.#version}` } };
  }

  #watch(path: string): Response {
    const all = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, all);
    let mine: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => void all.add(mine = stream),
      cancel: () => void all.delete(mine),
    });
    return new Response(body, { headers: { "Content-Type": "application/json" } });
  }

  #tell(path: string, type: string, object: StoredObject): void {
    const line = new TextEncoder().encode(`${JSON.stringify({ type, object })}\n`);
    for (const stream of this.#watchers.get(path) ?? []) stream.enqueue(line);
  }
}

function keyOf({ metadata: { namespace, name } }: StoredObject): string {
  return `${namespace ?? ""}/${name}`;
}
