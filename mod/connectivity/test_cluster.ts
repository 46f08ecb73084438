import { type Plan, type Planned, TASK_ANNOTATION, TEST_LABEL } from "./plan.ts";
import { parseClaim, parseEvent } from "../cluster/parse_objects.ts";
import type { ClaimObject, EventObject } from "../cluster/objects.ts";
import type { Task } from "../probe/protocol.ts";
import { type PodState, podState } from "./pod_state.ts";

/** The API server with the user's rights. Every request has a limit. */
export interface TestApi {
  /**
   * The answer; undefined where a GET or a DELETE finds no such object.
   *
   * @throws TestProblem that says what is wrong and what to do
   */
  request(
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    options: { readonly body?: unknown; readonly signal: AbortSignal },
  ): Promise<unknown>;
  /** An answer that is not JSON. @throws TestProblem */
  text(path: string, signal: AbortSignal): Promise<string>;
}

/** Where each kind stands in the API. */
const PLACES: Readonly<Record<Planned["kind"] | "ResourceClaim" | "Event", string>> = {
  Namespace: "/api/v1 namespaces",
  Pod: "/api/v1 pods",
  Event: "/api/v1 events",
  ResourceClaim: "/apis/resource.k8s.io/v1 resourceclaims",
  ResourceClaimTemplate: "/apis/resource.k8s.io/v1 resourceclaimtemplates",
};

// deno-lint-ignore no-explicit-any -- objects as the API server gives them
type Raw = any;

/** What a test does in the cluster. */
export class TestCluster {
  readonly #api: TestApi;
  readonly #plan: Plan;

  constructor(api: TestApi, plan: Plan) {
    this.#api = api;
    this.#plan = plan;
  }

  async create({ kind, manifest }: Planned, signal: AbortSignal): Promise<void> {
    await this.#api.request("POST", this.#path(kind), { body: manifest, signal });
  }

  /** The pods of the test, by their names. */
  async pods(signal: AbortSignal): Promise<ReadonlyMap<string, PodState>> {
    const all = await this.#list("Pod", this.#selector, signal);
    return new Map(all.map((pod) => [pod.metadata.name, podState(pod)]));
  }

  async claims(signal: AbortSignal): Promise<ClaimObject[]> {
    return (await this.#list("ResourceClaim", this.#selector, signal)).map(parseClaim);
  }

  /** The warnings about pods and claims of the namespace. */
  async warnings(signal: AbortSignal): Promise<EventObject[]> {
    const all = await this.#list("Event", { fieldSelector: "type=Warning" }, signal);
    return all.flatMap((event) => parseEvent(event) ?? []);
  }

  async log(pod: string, signal: AbortSignal): Promise<string> {
    return await this.#api.text(`${this.#path("Pod", pod)}/log?container=probe`, signal);
  }

  /** Gives a pod its task. */
  async giveTask(pod: string, task: Task, signal: AbortSignal): Promise<void> {
    const body = { metadata: { annotations: { [TASK_ANNOTATION]: JSON.stringify(task) } } };
    await this.#api.request("PATCH", this.#path("Pod", pod), { body, signal });
  }

  async remove({ kind, name }: Planned, signal: AbortSignal): Promise<void> {
    const path = `${this.#path(kind, name)}?propagationPolicy=Background`;
    await this.#api.request("DELETE", path, { signal });
  }

  async exists({ kind, name }: Planned, signal: AbortSignal): Promise<boolean> {
    return await this.#api.request("GET", this.#path(kind, name), { signal }) !== undefined;
  }

  get #selector(): Readonly<Record<string, string>> {
    return { labelSelector: `${TEST_LABEL}=${this.#plan.id}` };
  }

  async #list(
    kind: keyof typeof PLACES,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Raw[]> {
    const path = `${this.#path(kind)}?${new URLSearchParams(query)}`;
    const list = await this.#api.request("GET", path, { signal }) as Raw;
    return list?.items ?? [];
  }

  #path(kind: keyof typeof PLACES, name?: string): string {
    const [api, plural] = PLACES[kind].split(" ");
    const scope = kind === "Namespace" ? "" : `/namespaces/${this.#plan.namespace}`;
    return `${api}${scope}/${plural}${name === undefined ? "" : `/${name}`}`;
  }
}
