import { failure } from "./failure.ts";

type Fields = Record<string, unknown>;

/** An Event of the core group as the API server keeps it. */
export interface StoredEvent extends Fields {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly involvedObject: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

const PATH = /^\/api\/v1\/namespaces\/([^/]+)\/events(?:\/([^/]+))?$/;
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The Events of the simulated API server: create, and merge patch. */
export class SimulatedEvents {
  readonly #stored = new Map<string, StoredEvent>();

  all(): StoredEvent[] {
    return [...this.#stored.values()];
  }

  /** Removes all events, as the API server does after some time. */
  expire(): void {
    this.#stored.clear();
  }

  /** The answer; undefined for a request that is not about events. */
  async answer(request: Request): Promise<Response | undefined> {
    const [path, namespace = "", name] = new URL(request.url).pathname.match(PATH) ?? [];
    if (path === undefined) return undefined;
    if (request.method === "POST" && name === undefined) {
      return this.#create(namespace, await request.json());
    }
    if (request.method === "PATCH" && name !== undefined) {
      const type = request.headers.get("Content-Type");
      if (type !== "application/merge-patch+json") {
        return failure(415, "UnsupportedMediaType", `the body's type ${type} is not supported`);
      }
      return this.#patch(`${namespace}/${decodeURIComponent(name)}`, await request.json());
    }
    return failure(405, "MethodNotAllowed", `${request.method} is not allowed`);
  }

  #create(namespace: string, event: StoredEvent): Response {
    const { metadata, involvedObject } = event;
    const key = `${namespace}/${metadata.name}`;
    if (!NAME.test(metadata.name) || metadata.name.length > 253) {
      return failure(422, "Invalid", `metadata.name: Invalid value: "${metadata.name}"`);
    }
    if (metadata.namespace !== namespace || involvedObject.namespace !== namespace) {
      const said = `Event "${metadata.name}" is invalid: involvedObject.namespace: Invalid value`;
      return failure(422, "Invalid", said);
    }
    if (this.#stored.has(key)) {
      return failure(409, "AlreadyExists", `events "${metadata.name}" already exists`);
    }
    this.#stored.set(key, event);
    return Response.json(event, { status: 201 });
  }

  #patch(key: string, patch: Fields): Response {
    const event = this.#stored.get(key);
    if (!event) return failure(404, "NotFound", `events "${key.split("/")[1]}" not found`);
    const patched = { ...event, ...patch };
    this.#stored.set(key, patched);
    return Response.json(patched);
  }
}
