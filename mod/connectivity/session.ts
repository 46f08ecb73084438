import type { Clock } from "../async/clock.ts";
import { errorMessage } from "../async/error_message.ts";
import { timeLimit } from "../async/time_limit.ts";
import type { ClaimObject, EventObject } from "../cluster/objects.ts";
import { type Measured, type Peer, type ProbeLine, probeLines } from "../probe/protocol.ts";
import { INSIDE, type Plan, type Planned, type PlannedPod, type Role } from "./plan.ts";
import type { PodState } from "./pod_state.ts";
import type { TestCluster } from "./test_cluster.ts";
import { TestProblem } from "./tested_network.ts";
import { bare, type Check, type SeenPod, type StatusNetwork, verdicts } from "./verdicts.ts";

/** How often the API server is asked, in milliseconds. */
const POLL_MS = 500;
/** A pod is given this long to take up its task and measure, in milliseconds. */
const MEASURE_MS = 120_000;
/** What was made is given this long to go, in milliseconds. */
const REMOVE_MS = 120_000;

/** What became of a test. */
export type Outcome =
  | { readonly state: "judged"; readonly checks: readonly Check[] }
  /** It could not be carried out. */
  | { readonly state: "stopped"; readonly problem: string; readonly whatToDo: string }
  | { readonly state: "interrupted" };

/** What became of the objects that a test made. */
export type Removal =
  | { readonly state: "removed" }
  /** As asked for. */
  | { readonly state: "kept" }
  /** It may be there still. */
  | { readonly state: "left"; readonly problem: string };

export interface SessionOptions {
  readonly driver: string;
  readonly clock: Clock;
  /** Tells the user what goes on. */
  readonly say: (line: string) => void;
  /** How long the pods may take to start, in milliseconds. */
  readonly startMs: number;
  readonly keep: boolean;
  /** Aborted when the user breaks the test off; what was made is removed all the same. */
  readonly interrupted: AbortSignal;
  /** Aborted when the user does not want to wait for that either. */
  readonly abandoned: AbortSignal;
}

/** Carries out a test, and removes all that it has made, however it ends. */
export async function runSession(
  plan: Plan,
  cluster: TestCluster,
  options: SessionOptions,
): Promise<{ readonly outcome: Outcome; readonly removal: Removal }> {
  const session = new Session(plan, cluster, options);
  const outcome = await session.outcome();
  return { outcome, removal: await session.removal() };
}

class Session {
  readonly #plan: Plan;
  readonly #cluster: TestCluster;
  readonly #options: SessionOptions;
  /** What may be there: also what a request was to make that had no answer. */
  readonly #made: Planned[] = [];
  /** When each pod was created, and when its container was first seen to run; by the clock. */
  readonly #created = new Map<string, number>();
  readonly #running = new Map<string, number>();

  constructor(plan: Plan, cluster: TestCluster, options: SessionOptions) {
    this.#plan = plan;
    this.#cluster = cluster;
    this.#options = options;
  }

  async outcome(): Promise<Outcome> {
    const { interrupted } = this.#options;
    try {
      await this.#create();
      const networks = await this.#started();
      return { state: "judged", checks: await this.#measured(networks) };
    } catch (error) {
      if (interrupted.aborted) return { state: "interrupted" };
      return stoppedBy(error);
    }
  }

  async removal(): Promise<Removal> {
    const { keep, clock, abandoned, say } = this.#options;
    if (this.#made.length === 0) return { state: "removed" };
    if (keep) return { state: "kept" };
    say("removing what was made");
    using limit = timeLimit(clock, REMOVE_MS, abandoned);
    try {
      const own = this.#made.filter(({ kind }) => kind === "Namespace");
      const roots = own.length > 0 ? own : this.#made;
      for (const object of roots) await this.#cluster.remove(object, limit.signal);
      for (const object of roots) {
        while (await this.#cluster.exists(object, limit.signal)) {
          await clock.sleep(POLL_MS, limit.signal);
        }
      }
      return { state: "removed" };
    } catch (error) {
      return { state: "left", problem: errorMessage(error) };
    }
  }

  async #create(): Promise<void> {
    const { clock, interrupted, say } = this.#options;
    const { ownNamespace, namespace } = this.#plan;
    say(`${ownNamespace ? "making" : "using"} the namespace ${namespace}`);
    for (const object of this.#plan.objects) {
      interrupted.throwIfAborted();
      this.#made.push(object);
      if (object.kind === "Pod") this.#created.set(object.name, clock.elapsed());
      await this.#cluster.create(object, interrupted);
    }
  }

  /** Waits until all pods run, and the claims say what they got. */
  async #started(): Promise<ReadonlyMap<Role, StatusNetwork>> {
    const { clock, interrupted, say, startMs, driver } = this.#options;
    const end = clock.elapsed() + startMs;
    const said = new Map<Role, string>();
    for (;;) {
      const pods = await this.#cluster.pods(interrupted);
      const claims = await this.#cluster.claims(interrupted);
      const warnings = await this.#cluster.warnings(interrupted);
      const waiting = [...this.#plan.pods].flatMap(([role, pod]) => {
        const state = pods.get(pod.name) ?? { state: "pending" };
        this.#noteRunning(pod, state);
        const claim = claims.find(({ ownerPod }) => ownerPod === pod.name);
        const why = waitsFor(pod, { role, state, claim, driver, warnings });
        return why === undefined ? [] : [{ role, pod, why }];
      });
      for (const { role, pod: { node }, why } of waiting) {
        if (said.get(role) === why) continue;
        said.set(role, why);
        say(`pod ${role} on ${node}: ${why}`);
      }
      const [first] = waiting;
      if (first === undefined) return networksOf(this.#plan, claims, driver);
      if (clock.elapsed() > end) {
        throw new TestProblem(
          `pod ${first.role} on ${first.pod.node} did not start within ${startMs / 1000} s: ` +
            first.why,
          "docs/how-to/troubleshooting.md has the cause and the cure by message; --timeout gives " +
            "the pods more time, --keep keeps them to look at",
        );
      }
      await clock.sleep(POLL_MS, interrupted);
    }
  }

  #noteRunning({ name }: PlannedPod, { state }: PodState): void {
    if (state !== "running" || this.#running.has(name)) return;
    this.#running.set(name, this.#options.clock.elapsed());
  }

  /** Has one pod after the other measure, so that they do not disturb one another. */
  async #measured(networks: ReadonlyMap<Role, StatusNetwork>): Promise<Check[]> {
    const peers = (roles: readonly Role[]): Peer[] =>
      roles.map((name) => ({ name, addresses: networks.get(name)!.ips.map(bare) }));
    const a = await this.#measure("a", peers(["b"]));
    const b = await this.#measure("b", peers(["a"]));
    const outside = this.#plan.pods.has("outside")
      ? await this.#measure("outside", peers(INSIDE))
      : undefined;
    const seen = async (role: "a" | "b", results: readonly Measured[]): Promise<SeenPod> => {
      const { name } = this.#plan.pods.get(role)!;
      const { interfaces } = await this.#line(role, "started");
      const startMs = this.#running.get(name)! - this.#created.get(name)!;
      return { network: networks.get(role)!, interfaces, startMs, results };
    };
    const nodes = [this.#plan.pods.get("a")!.node, this.#plan.pods.get("b")!.node] as const;
    return verdicts({
      nodes,
      a: await seen("a", a),
      b: await seen("b", b),
      ...(outside && { outside }),
    });
  }

  async #measure(role: Role, peers: readonly Peer[]): Promise<readonly Measured[]> {
    const { interrupted, say } = this.#options;
    const { name, node } = this.#plan.pods.get(role)!;
    say(`pod ${role} on ${node} measures`);
    const from = role === "outside" ? role : "inside";
    await this.#cluster.giveTask(name, { from, peers }, interrupted);
    return (await this.#line(role, "measured")).results;
  }

  /** Waits for a line in a probe's log. */
  async #line<P extends ProbeLine["probe"]>(role: Role, probe: P) {
    const { clock, interrupted } = this.#options;
    const { name } = this.#plan.pods.get(role)!;
    const end = clock.elapsed() + MEASURE_MS;
    for (;;) {
      const log = await this.#cluster.log(name, interrupted);
      const found = probeLines(log).find((line) => line.probe === probe);
      if (found) return found as Extract<ProbeLine, { readonly probe: P }>;
      const state = (await this.#cluster.pods(interrupted)).get(name);
      const problem = state?.state === "running"
        ? clock.elapsed() > end ? "it says nothing" : undefined
        : state?.state === "failed"
        ? state.why
        : "it is gone";
      if (problem !== undefined) {
        throw new TestProblem(
          `pod ${role} has not measured: ${problem}${lastLine(log)}`,
          "if something else has ended it, test again; --keep keeps the pods to look at",
        );
      }
      await clock.sleep(POLL_MS, interrupted);
    }
  }
}

/** Whatever it was: what was made is to be removed. */
function stoppedBy(error: unknown): Outcome {
  const problem = errorMessage(error);
  const whatToDo = error instanceof TestProblem
    ? error.whatToDo
    : "report this as a bug in network-dra";
  return { state: "stopped", problem, whatToDo };
}

function lastLine(log: string): string {
  const last = log.trim().split("\n").at(-1);
  return last ? `; its log ends with: ${last}` : "";
}

/** What a pod waits for, in words; undefined when it is ready to measure. @throws TestProblem */
function waitsFor(
  { name, node }: PlannedPod,
  { role, state, claim, driver, warnings }: {
    readonly role: Role;
    readonly state: PodState;
    readonly claim: ClaimObject | undefined;
    readonly driver: string;
    readonly warnings: readonly EventObject[];
  },
): string | undefined {
  if (state.state === "failed") {
    throw new TestProblem(`pod ${role} on ${node} does not run: ${state.why}`, state.whatToDo);
  }
  const names = [name, ...claim ? [claim.name] : []];
  const warning = warnings.filter(({ about }) => names.includes(about.name))
    .toSorted((one, other) => one.last < other.last ? -1 : 1).at(-1);
  const warned = warning && `${warning.reason}: ${warning.message}`;
  // What the scheduler and the driver say, rather than that containers are being created.
  if (state.state === "pending") return warned ?? state.why ?? "it is being created";
  if (role === "outside") return undefined;
  const ready = claim?.devices.find((device) => device.driver === driver)?.ready;
  if (ready?.status === "True") return undefined;
  return ready?.message ?? warned ??
    "it runs, and the claim's status does not show its network yet";
}

function networksOf(
  { pods }: Plan,
  claims: readonly ClaimObject[],
  driver: string,
): ReadonlyMap<Role, StatusNetwork> {
  return new Map(INSIDE.map((role) => {
    const claim = claims.find(({ ownerPod }) => ownerPod === pods.get(role)!.name)!;
    const { interfaceName = "", ips } = claim.devices.find((each) => each.driver === driver)!;
    return [role, { interfaceName, ips }];
  }));
}
