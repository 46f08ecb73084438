import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import type { Lack } from "../agent/ports.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { RESOURCE_API } from "./resource_api.ts";

/** Between two requests while there is no good answer. */
const RETRY: Backoff = { first: 1_000, most: 10_000 };
/** An API server may take so long for its first answer, in milliseconds. */
const USUAL_MS = 5_000;

/** Lists ResourceSlices, which the agent must be allowed to do, and finds none: no name is that short. */
const PATH = `/apis/${RESOURCE_API}/resourceslices?fieldSelector=metadata.name%3D0`;

/**
 * Whether the API server answers the agent. Asks when it starts, and again once a request has had no
 * answer: a cluster has many agents.
 */
export class ApiAccess {
  readonly #connection: KubeConnection;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #lack: Lack | undefined;

  /** @param options.onChange called when the lack may be another */
  constructor(
    connection: KubeConnection,
    { clock, onChange }: { readonly clock: Clock; readonly onChange: () => void },
  ) {
    this.#connection = connection;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#lack = {
      problem: `no answer from ${connection.server} yet`,
      whatToDo: REACH,
      usualFor: USUAL_MS,
    };
  }

  /** Why the API server is of no use at the moment; undefined while it is. */
  lack(): Lack | undefined {
    return this.#lack;
  }

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const unanswered = this.#connection.unanswered.next(signal);
      unanswered.catch(() => {});
      try {
        await this.#connection.request({ method: "GET", path: PATH, signal });
        failures = 0;
        this.#set(undefined);
        await unanswered;
      } catch (error) {
        if (signal.aborted) return;
        this.#set(explain(error, this.#connection.server));
        await this.#clock.sleep(pauseAfter(++failures, RETRY), signal).catch(() => {});
      }
    }
  }

  #set(lack: Lack | undefined): void {
    this.#lack = lack;
    this.#onChange();
  }
}

const REACH =
  "check that the API server runs, that the node reaches it, and that --kubeconfig (in a " +
  "pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT) names it";

function explain(error: unknown, server: string): Lack {
  const { status, problem = errorMessage(error) } = error instanceof KubeError
    ? error
    : { status: undefined };
  switch (status) {
    case undefined:
      return { problem, whatToDo: REACH };
    case 401:
      return {
        problem: `${server} does not accept the agent's credentials: ${problem}`,
        whatToDo: "renew the credentials in --kubeconfig, or those of the pod's ServiceAccount",
      };
    case 403:
      return {
        problem: `${server} forbids what the agent needs: ${problem}`,
        whatToDo: "give the agent's user the rules of the chart's ClusterRole",
      };
    case 404:
      return {
        problem: `${server} does not serve ${RESOURCE_API}`,
        whatToDo: "use Kubernetes 1.34 or later, with this API enabled",
      };
    default:
      return {
        problem: `${server} answers with status ${status}: ${problem}`,
        whatToDo: "check the API server's log",
      };
  }
}
