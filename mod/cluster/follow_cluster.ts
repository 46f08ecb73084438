import type { Clock } from "../async/clock.ts";
import { followList, RETRY } from "./follow_list.ts";
import { KINDS, listPath } from "./kinds.ts";
import type { ClusterObjects, Kind, Listed, ObjectsByKind, Unread } from "./objects.ts";
import type { ObjectSource, ReadError } from "./ports.ts";
import { NOTHING_READ, type ReadOptions, unread } from "./read_cluster.ts";

/** After these, what was known of a kind stays until there is something better. */
const MAY_PASS: readonly Unread["cause"][] = ["unanswered", "failed"];

/** What is to be followed. */
export interface FollowOptions extends ReadOptions {
  readonly clock: Clock;
  /** Called when `objects` has changed. */
  readonly changed: () => void;
}

/**
 * What there is of each kind, kept up to date: by one list and one watch a kind, and another list
 * only where the API server says that the watch has missed something.
 */
export class ClusterFollower {
  readonly #source: ObjectSource;
  readonly #options: FollowOptions;
  readonly #kept = new Map<Kind, Map<string, unknown>>();
  /** As lists; a kind that has changed since is not among them. */
  readonly #lists = new Map<Kind, Listed<ObjectsByKind[Kind]>>();

  constructor(source: ObjectSource, options: FollowOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** As it is now; "unasked" until a kind's list has come. */
  objects(): ClusterObjects {
    for (const [kind, items] of this.#kept) {
      if (this.#lists.has(kind)) continue;
      this.#lists.set(kind, { state: "read", items: [...items.values()] as never[] });
    }
    return { ...NOTHING_READ, ...Object.fromEntries(this.#lists) };
  }

  /** Follows until the signal is aborted. */
  async run(): Promise<void> {
    await Promise.all(this.#options.kinds.map((kind) => this.#follow(kind)));
  }

  #follow(kind: Kind): Promise<void> {
    return followList<unknown>(this.#source, {
      path: listPath(kind, this.#options),
      keyOf,
      parse: KINDS[kind].parse,
      listed: (items) => {
        this.#kept.set(kind, items);
        this.#publish(kind);
      },
      changed: () => this.#publish(kind),
      failed: (error) => {
        if (!this.#kept.has(kind) || !MAY_PASS.includes((error as ReadError).reason)) {
          this.#kept.delete(kind);
          this.#lists.set(kind, unread(kind, error));
          this.#options.changed();
        }
        return RETRY;
      },
    }, this.#options);
  }

  #publish(kind: Kind): void {
    this.#lists.delete(kind);
    this.#options.changed();
  }
}

function keyOf(object: unknown): string {
  return (object as { readonly metadata: { readonly uid: string } }).metadata.uid;
}
