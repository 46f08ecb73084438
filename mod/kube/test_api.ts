import type { TestApi } from "../connectivity/test_cluster.ts";
import { TestProblem } from "../connectivity/tested_network.ts";
import type { KubeConnection, Request } from "./connection.ts";
import { KubeError } from "./error.ts";
import { RESOURCE_API } from "./resource_api.ts";

/** The API server, as a test of a network uses it with a user's own rights. */
export class KubeTestApi implements TestApi {
  readonly #connection: KubeConnection;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
  }

  async request(
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    { body, signal }: { readonly body?: unknown; readonly signal: AbortSignal },
  ): Promise<unknown> {
    const contentType = method === "PATCH" ? "application/merge-patch+json" : undefined;
    const request: Request = { method, path, body, contentType, signal };
    try {
      return await this.#connection.request(request);
    } catch (error) {
      const ofObject = method === "GET" || method === "DELETE";
      if (ofObject && error instanceof KubeError && error.status === 404) return undefined;
      throw this.#problem(error, request);
    }
  }

  async text(path: string, signal: AbortSignal): Promise<string> {
    const request: Request = { method: "GET", path, signal };
    try {
      return await this.#connection.text(request);
    } catch (error) {
      throw this.#problem(error, request);
    }
  }

  #problem(error: unknown, { method, path, signal }: Request): unknown {
    if (!(error instanceof KubeError) || signal.aborted) return error;
    const { status, problem } = error;
    const { server } = this.#connection;
    const what = `${VERBS[method]} ${resourceOf(path)}`;
    switch (status) {
      case undefined:
        return new TestProblem(
          problem,
          "check that the API server runs and is reached from here, and that --context names the " +
            "right cluster",
        );
      case 401:
        return new TestProblem(
          `${server} does not accept the credentials of the kubeconfig: ${problem}`,
          "renew them, or choose others with --context",
        );
      case 403:
        return new TestProblem(
          `you have no right to ${what} (${problem})`,
          what === "create namespaces"
            ? "give --namespace with a namespace in which you may create pods, or ask for the right"
            : "ask for the rights that docs/how-to/test-a-network.md lists",
        );
      case 404:
        return path.includes(RESOURCE_API) && !problem.includes("namespaces")
          ? new TestProblem(
            `${server} does not serve ${RESOURCE_API}`,
            "use Kubernetes 1.34 or later, with this API enabled",
          )
          : new TestProblem(`cannot ${what}: ${problem}`, "check --namespace");
      default:
        return new TestProblem(
          `cannot ${what}: ${problem}`,
          "change what it names, or ask whoever runs the cluster where a policy of theirs refuses it",
        );
    }
  }
}

const VERBS = { GET: "read", POST: "create", PATCH: "change", PUT: "change", DELETE: "delete" };

/** Such as `pods`, or `pods/log`. */
function resourceOf(path: string): string {
  const [, resource = path, subresource] = path.split("?")[0]!.match(
    /^\/apis?(?:\/[^/]+){1,2}?(?:\/namespaces\/[^/]+)?\/([a-z]+)(?:\/[^/]+(\/[a-z]+)?)?$/,
  ) ??
    [];
  return `${resource}${subresource ?? ""}`;
}
