import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { KINDS, listPath } from "./kinds.ts";
import type { ClusterObjects, Kind, Listed, ObjectsByKind, Unread } from "./objects.ts";
import type { ObjectSource, ReadError } from "./ports.ts";
import { NOTHING_READ, type ReadOptions, unread } from "./read_cluster.ts";

/** Between two tries to read a kind that cannot be read. */
const RETRY: Backoff = { first: 1_000, most: 30_000 };

/** A watch that ended earlier is followed by another only after this time, in milliseconds. */
const LEAST_WATCH_MS = 500;

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
    const { signal, clock } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      try {
        let version: string | undefined = await this.#list(kind);
        failures = 0;
        while (!signal.aborted && version !== undefined) {
          const began = clock.elapsed();
          version = await this.#watch(kind, version);
          // An API server, or a proxy, that ends each watch at once is not asked without a pause.
          const pause = LEAST_WATCH_MS - (clock.elapsed() - began);
          if (pause > 0) await clock.sleep(pause, signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#kept.has(kind) || !MAY_PASS.includes((error as ReadError).reason)) {
          this.#kept.delete(kind);
          this.#lists.set(kind, unread(kind, error));
          this.#options.changed();
        }
        await clock.sleep(pauseAfter(++failures, RETRY), signal).catch(() => {});
      }
    }
  }

  /** The version from which a watch goes on. */
  async #list(kind: Kind): Promise<string> {
    const { signal } = this.#options;
    const items = new Map<string, unknown>();
    let version = "";
    for await (const page of this.#source.list(listPath(kind, this.#options), signal)) {
      version = page.resourceVersion;
      for (const object of page.items) {
        const item = KINDS[kind].parse(object);
        if (item !== undefined) items.set(keyOf(object), item);
      }
    }
    this.#kept.set(kind, items);
    this.#publish(kind);
    return version;
  }

  /** The version to go on from; undefined where all must be listed again. */
  async #watch(kind: Kind, from: string): Promise<string | undefined> {
    const { signal } = this.#options;
    const path = listPath(kind, this.#options);
    let resourceVersion = from;
    for await (const change of this.#source.watch(path, { resourceVersion, signal })) {
      switch (change.type) {
        case "begun":
          break;
        case "expired":
          return undefined;
        case "bookmark":
          resourceVersion = change.resourceVersion;
          break;
        case "set":
        case "deleted":
          resourceVersion = versionOf(change.object);
          this.#apply(kind, change);
      }
    }
    return resourceVersion;
  }

  #apply(
    kind: Kind,
    { type, object }: { readonly type: "set" | "deleted"; readonly object: unknown },
  ): void {
    const items = this.#kept.get(kind)!;
    const item = type === "set" ? KINDS[kind].parse(object) : undefined;
    const key = keyOf(object);
    if (item !== undefined) items.set(key, item);
    // An object of no interest changes nothing.
    else if (!items.delete(key)) return;
    this.#publish(kind);
  }

  #publish(kind: Kind): void {
    this.#lists.delete(kind);
    this.#options.changed();
  }
}

interface Versioned {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string };
}

function keyOf(object: unknown): string {
  return (object as Versioned).metadata.uid;
}

function versionOf(object: unknown): string {
  return (object as Versioned).metadata.resourceVersion;
}
