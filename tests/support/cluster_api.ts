import { failure } from "../../mod/simulator/failure.ts";
import type { RawCluster } from "./cluster_objects.ts";
import { answerExec, type ExecScript } from "./exec_server.ts";

type Fields = Record<string, unknown>;

const EXEC = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/exec$/;
const PATH = /^\/(?:api\/v1|apis\/resource\.k8s\.io\/v1)(?:\/namespaces\/([^/]+))?\/([a-z]+)$/;

/** An API server that only lists and watches, in pages, what a test gives it. */
export class ClusterApi {
  #cluster: RawCluster;
  readonly #watchers = new Map<string, ReadableStreamDefaultController<Uint8Array>[]>();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  /** What was asked: method, path and query. */
  readonly asked: string[] = [];
  /** Answers requests for a plural. */
  fault: (plural: string, url: URL) => Response | undefined | Promise<Response | undefined> = () =>
    undefined;

  /** What answers a request before all others. */
  special: (request: Request, url: URL) => Response | undefined | Promise<Response | undefined> =
    () => undefined;

  /** What programs in pods print; undefined where there is no such pod. */
  program: (pod: string, command: readonly string[]) => ExecScript | undefined = () => undefined;

  /** Answers what is neither a list of the cluster's nor a program in a pod. */
  others: (request: Request) => Promise<Response | undefined> = () => Promise.resolve(undefined);

  constructor(cluster: RawCluster) {
    this.#cluster = cluster;
  }

  start(): void {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const url = new URL(request.url);
        this.asked.push(`${request.method} ${url.pathname}${url.search}`);
        const special = await this.special(request, url);
        if (special) return special;
        const [, , pod] = url.pathname.match(EXEC) ?? [];
        if (pod !== undefined) {
          return await this.fault("pods/exec", url) ?? this.#exec(pod, request);
        }
        const [, namespace, plural = ""] = url.pathname.match(PATH) ?? [];
        return await this.fault(plural, url) ?? await this.others(request) ??
          this.#answer(plural, url, namespace);
      },
    );
  }

  /** Has another cluster from now on. */
  replace(cluster: RawCluster): void {
    this.#cluster = cluster;
  }

  async stop(): Promise<void> {
    this.endWatches();
    await this.#server?.shutdown();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server!.addr.port}`;
  }

  /** A kubeconfig (YAML, as JSON) that leads here. */
  kubeconfig(namespace?: string): string {
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "made-up", cluster: { server: this.url } }],
      users: [{ name: "user", user: { token: "secret" } }],
      contexts: [{ name: "made-up", context: { cluster: "made-up", user: "user", namespace } }],
      "current-context": "made-up",
    });
  }

  /** Tells those who watch, as the API server does. */
  tell(plural: keyof RawCluster, type: string, object: Fields): void {
    const line = new TextEncoder().encode(`${JSON.stringify({ type, object })}\n`);
    for (const stream of this.#watchers.get(plural) ?? []) stream.enqueue(line);
  }

  endWatches(): void {
    for (const stream of [...this.#watchers.values()].flat()) stream.close();
    this.#watchers.clear();
  }

  #answer(plural: string, url: URL, namespace: string | undefined): Response {
    const all = this.#cluster[plural as keyof RawCluster] as Fields[] | undefined;
    if (!all) return failure(404, "NotFound", "the server could not find the requested resource");
    if (url.searchParams.get("watch") === "true") return this.#watch(plural);
    const [label, value] = url.searchParams.get("labelSelector")?.split("=") ?? [];
    const items = all.filter(({ metadata }) => {
      const { labels, namespace: own } = metadata as Fields;
      return (namespace === undefined || own === namespace) &&
        (label === undefined || (labels as Fields | undefined)?.[label] === value);
    });
    const from = Number(url.searchParams.get("continue") ?? 0);
    const limit = Number(url.searchParams.get("limit") ?? 0) || items.length;
    const next = from + limit < items.length ? `${from + limit}` : undefined;
    return Response.json({
      metadata: { resourceVersion: "1000", ...(next && { continue: next }) },
      items: items.slice(from, from + limit),
    });
  }

  #exec(pod: string, request: Request): Response {
    const command = new URL(request.url).searchParams.getAll("command");
    const script = this.program(pod, command);
    return script
      ? answerExec(request, script)
      : failure(404, "NotFound", `pods "${pod}" not found`);
  }

  #watch(plural: string): Response {
    let own: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start: (stream) => {
        own = stream;
        this.#watchers.set(plural, [...this.#watchers.get(plural) ?? [], stream]);
      },
      cancel: () => {
        const others = this.#watchers.get(plural)?.filter((each) => each !== own) ?? [];
        this.#watchers.set(plural, others);
      },
    });
    return new Response(body, { headers: { "Content-Type": "application/json" } });
  }
}

/** Runs with such an API server. */
export async function withClusterApi(
  cluster: RawCluster,
  body: (api: ClusterApi) => Promise<void>,
): Promise<void> {
  const api = new ClusterApi(cluster);
  api.start();
  try {
    await body(api);
  } finally {
    await api.stop();
  }
}
