import type { Clock } from "../async/clock.ts";
import { describeTime } from "../async/describe_time.ts";
import { errorMessage } from "../async/error_message.ts";
import { Latch } from "../async/latch.ts";
import { Notifier } from "../async/notifier.ts";
import { WarnOnce } from "../async/warn_once.ts";
import type { Log } from "../agent/ports.ts";
import { type ObjectSource, ReadError } from "../cluster/ports.ts";
import type { Known, KnownObjects } from "../networks/ports.ts";
import { followObjects } from "../cluster/follow_objects.ts";

/** What is kept of the objects, and for how long. */
export interface ObjectCacheOptions<T> {
  /** Of the kind's list, such as `/apis/dra.networking/v1alpha1/networks`. */
  readonly path: string;
  /** Does not throw. */
  readonly parse: (object: unknown) => T;
  /** Begin only when somebody looks. */
  readonly lazy?: true;
  /**
   * For how long the objects are still used once the API server no longer answers, in milliseconds; 0
   * for as long as the process lives.
   */
  readonly maxAge: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What was last learned of the objects. */
type State<T> =
  /** As they are now. */
  | { readonly is: "followed"; readonly objects: Map<string, T> }
  /** As they were at `since`, by the clock that is never set back. */
  | {
    readonly is: "lost";
    readonly objects: Map<string, T>;
    readonly since: number;
    readonly cause: string;
  }
  | { readonly is: "not served" }
  | { readonly is: "unreadable"; readonly cause: string };

/**
 * The objects of one kind in the cluster, kept up to date by one list and one watch. Whoever looks
 * never causes a request.
 */
export class ObjectCache<T> implements KnownObjects<T> {
  readonly #source: ObjectSource;
  readonly #options: ObjectCacheOptions<T>;
  readonly #wanted = new Latch();
  readonly #changes = new Notifier();
  readonly #problem: WarnOnce;
  readonly #plural: string;
  /** Undefined until the API server has answered. */
  #state: State<T> | undefined;

  constructor(source: ObjectSource, options: ObjectCacheOptions<T>) {
    this.#source = source;
    this.#options = options;
    this.#problem = new WarnOnce(options.log);
    this.#plural = options.path.split("/").at(-1)!;
    if (!options.lazy) this.#wanted.set();
  }

  async look(signal: AbortSignal): Promise<Known<T>> {
    this.#wanted.set();
    while (!this.#state) await this.#changes.next(signal);
    const state = this.#state;
    switch (state.is) {
      case "followed":
        return { state: "known", objects: state.objects };
      case "lost":
        return this.#lost(state);
      case "not served":
        return { state: "not served" };
      case "unreadable":
        return { state: "unreadable", cause: state.cause };
    }
  }

  #lost({ objects, since, cause }: State<T> & { readonly is: "lost" }): Known<T> {
    const { maxAge, clock } = this.#options;
    const age = clock.elapsed() - since;
    if (maxAge === 0 || age <= maxAge) return { state: "known", objects };
    const known = `what the agent knows of ${this.#plural} is ${describeTime(age)} old, and ` +
      `networkCacheTime allows ${describeTime(maxAge)}`;
    return { state: "unreadable", cause: `${known}: ${cause}` };
  }

  /** Follows the objects until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { path, parse, clock } = this.#options;
    await this.#wanted.wait(signal).catch(() => {});
    let objects = new Map<string, T>();
    for await (const news of followObjects(this.#source, { path, clock, signal })) {
      switch (news.type) {
        case "listing":
          objects = new Map();
          break;
        case "set":
          objects.set(keyOf(news.object), parse(news.object));
          break;
        case "deleted":
          objects.delete(keyOf(news.object));
          break;
        case "listed":
          this.#set({ is: "followed", objects });
          this.#problem.over();
          break;
        case "failed":
          this.#failed(news.error);
      }
    }
  }

  #failed(error: unknown): void {
    const { log, clock } = this.#options;
    const { reason } = error as ReadError;
    const cause = this.#explain(error);
    const state = this.#state;
    if (reason === "not-served") {
      const isNew = state?.is !== "not served";
      this.#set({ is: "not served" });
      log[isNew ? "info" : "debug"](`the cluster does not have ${this.#plural}`);
      return;
    }
    this.#problem.say(`cannot follow ${this.#plural}; trying again`, { error: cause });
    if (state?.is === "followed") {
      this.#set({ is: "lost", objects: state.objects, since: clock.elapsed(), cause });
    } else if (state?.is === "lost") {
      this.#set({ ...state, cause });
    } else {
      this.#set({ is: "unreadable", cause });
    }
  }

  #explain(error: unknown): string {
    if (!(error instanceof ReadError) || error.reason !== "forbidden") return errorMessage(error);
    return `the agent has no right to get, list and watch ${this.#plural}: give its user the rules ` +
      `of the chart's ClusterRole`;
  }

  #set(state: State<T>): void {
    this.#state = state;
    this.#changes.notify();
  }
}

function keyOf(object: unknown): string {
  const { metadata: { namespace, name } } = object as {
    readonly metadata: { readonly namespace?: string; readonly name: string };
  };
  return namespace === undefined ? name : `${namespace}/${name}`;
}
