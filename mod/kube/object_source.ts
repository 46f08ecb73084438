import {
  type ObjectSource,
  type Page,
  ReadError,
  unanswered,
  type WatchChange,
} from "../cluster/ports.ts";
import type { KubeConnection, WatchEvent } from "./connection.ts";
import { KubeError } from "./error.ts";
import { RESOURCE_API } from "./resource_api.ts";

/** Objects on a page. Larger ones take the API server no less work, and more memory here. */
const PAGE = 1000;
/** The API server ends a watch after this, in seconds; another one goes on from there. */
const WATCH_TIME_S = 300;
/** A watch that was to have ended by this much is lost, in milliseconds. */
const WATCH_GRACE_MS = 15_000;

/** The objects of a cluster with a user's own rights. */
export class KubeObjectSource implements ObjectSource {
  readonly #connection: KubeConnection;
  readonly #page: number;

  /** @param page objects on a page of a list */
  constructor(connection: KubeConnection, { page = PAGE }: { readonly page?: number } = {}) {
    this.#connection = connection;
    this.#page = page;
  }

  async *list(path: string, signal: AbortSignal): AsyncGenerator<Page> {
    for (let from = "";;) {
      const query = new URLSearchParams({
        limit: `${this.#page}`,
        ...(from !== "" && { continue: from }),
      });
      const list = await this.#get(withQuery(path, query), signal);
      const { resourceVersion = "", continue: next = "" } = list.metadata ?? {};
      yield { items: list.items ?? [], resourceVersion };
      if (next === "") return;
      if (next === from) throw this.#noList(path, "its pages do not end");
      from = next;
    }
  }

  async #get(path: string, signal: AbortSignal): Promise<ObjectList> {
    let body: unknown;
    try {
      body = await this.#connection.request({ method: "GET", path, signal });
    } catch (error) {
      throw readError(error, { path, server: this.#connection.server });
    }
    if (!isList(body)) throw this.#noList(path, "the answer is not a list of objects");
    return body;
  }

  #noList(path: string, why: string): ReadError {
    const plural = path.split("?")[0]!.split("/").at(-1);
    const { server } = this.#connection;
    return new ReadError("failed", `cannot list ${plural}: ${why}: is ${server} an API server?`);
  }

  async *watch(
    path: string,
    { resourceVersion, signal }: {
      readonly resourceVersion: string;
      readonly signal: AbortSignal;
    },
  ): AsyncGenerator<WatchChange> {
    const query = new URLSearchParams({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion,
      timeoutSeconds: `${WATCH_TIME_S}`,
    });
    const watched = withQuery(path, query);
    try {
      const limit = WATCH_TIME_S * 1000 + WATCH_GRACE_MS;
      for await (const event of this.#connection.watch({ path: watched, limit, signal })) {
        yield event ? changeOf(event) : { type: "begun" };
      }
    } catch (error) {
      if (error instanceof KubeError && error.status === 410) yield { type: "expired" };
      else throw readError(error, { path, server: this.#connection.server });
    }
  }
}

interface ObjectList {
  readonly items?: readonly unknown[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

/** What answers may be no API server. */
function isList(body: unknown): body is ObjectList {
  if (!isObject(body)) return false;
  const { items, metadata } = body;
  return (items === undefined || items === null ? metadata !== undefined : areObjects(items)) &&
    (metadata === undefined || isObject(metadata));
}

function areObjects(items: unknown): boolean {
  return Array.isArray(items) && items.every((each) => isObject(each) && isObject(each.metadata));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withQuery(path: string, query: URLSearchParams): string {
  return `${path}${path.includes("?") ? "&" : "?"}${query}`;
}

function changeOf({ type, object }: WatchEvent): WatchChange {
  switch (type) {
    case "ADDED":
    case "MODIFIED":
      return { type: "set", object };
    case "DELETED":
      return { type: "deleted", object };
    case "BOOKMARK": {
      const { resourceVersion } = object.metadata as { readonly resourceVersion: string };
      return { type: "bookmark", resourceVersion };
    }
    // Gone (410), or something else that another list mends.
    case "ERROR":
      return { type: "expired" };
  }
}

/** Where a list was asked for. */
interface Asked {
  readonly path: string;
  readonly server: string;
}

function readError(error: unknown, { path, server }: Asked): ReadError {
  if (!(error instanceof KubeError)) throw error;
  const [plain] = path.split("?");
  const plural = plain!.split("/").at(-1)!;
  const inNamespace = plain!.match(/\/namespaces\/([^/]+)\//)?.[1];
  const where = inNamespace === undefined
    ? "in the whole cluster"
    : `in the namespace ${decodeURIComponent(inNamespace)}`;
  const as = { cause: error };
  switch (error.status) {
    case undefined:
      return unanswered(error.problem, as);
    case 401:
      return new ReadError(
        "unauthorized",
        `${server} does not accept the credentials of the kubeconfig: ${error.problem}`,
        as,
      );
    case 403:
      return new ReadError(
        "forbidden",
        `you have no right to list ${plural} ${where} (${error.problem})`,
        as,
      );
    case 404:
      return new ReadError(
        "not-served",
        plain!.includes(RESOURCE_API)
          ? `${server} does not serve ${RESOURCE_API}: Kubernetes 1.34 or later is needed, with ` +
            "the API enabled"
          : `${server} does not serve ${plural}`,
        as,
      );
    default:
      return new ReadError("failed", `cannot list ${plural}: ${error.message}`, as);
  }
}
