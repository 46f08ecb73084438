import type { Clock } from "../async/clock.ts";
import { followObjects } from "./follow_objects.ts";
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

  async #follow(kind: Kind): Promise<void> {
    const { parse } = KINDS[kind];
    const path = listPath(kind, this.#options);
    let items = new Map<string, unknown>();
    for await (const news of followObjects(this.#source, { ...this.#options, path })) {
      switch (news.type) {
        case "listing":
          items = new Map();
          break;
        case "listed":
          this.#kept.set(kind, items);
          this.#publish(kind);
          break;
        case "set":
        case "deleted": {
          // Undefined for an object of no interest.
          const item = news.type === "set" ? parse(news.object) : undefined;
          const key = keyOf(news.object);
          const isChange = item !== undefined ? items.set(key, item) : items.delete(key);
          if (isChange && this.#kept.get(kind) === items) this.#publish(kind);
          break;
        }
        case "failed":
          this.#failed(kind, news.error);
      }
    }
  }

  #failed(kind: Kind, error: unknown): void {
    if (this.#kept.has(kind) && MAY_PASS.includes((error as ReadError).reason)) return;
    this.#kept.delete(kind);
    this.#lists.set(kind, unread(kind, error));
    this.#options.changed();
  }

  #publish(kind: Kind): void {
    this.#lists.delete(kind);
    this.#options.changed();
  }
}

function keyOf(object: unknown): string {
  return (object as { readonly metadata: { readonly uid: string } }).metadata.uid;
}
