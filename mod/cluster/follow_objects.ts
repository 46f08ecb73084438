import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import { type ObjectSource, ReadError } from "./ports.ts";

/** Between two tries to read the objects while that fails, */
const RETRY: Backoff = { first: 1_000, most: 30_000 };
/** and while the cluster does not have the kind: each of its agents asks. */
const NOT_SERVED: Backoff = { first: 60_000, most: 60_000 };
/** A watch that ended earlier is followed by another only after this time, in milliseconds. */
const LEAST_WATCH_MS = 500;

/** What happens to the objects of a list. */
export type ObjectNews =
  /** All objects follow as "set"; those that are known and do not come again are gone. */
  | { readonly type: "listing" }
  /** All have come; from now on each change follows. */
  | { readonly type: "listed" }
  | { readonly type: "set" | "deleted"; readonly object: unknown }
  /** Until the next "listing", nothing is told. */
  | { readonly type: "failed"; readonly error: unknown };

export interface FollowOptions {
  /** Of the list, with its query. */
  readonly path: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Follows objects by one list and one watch, and begins anew where that fails, until the signal is
 * aborted. Does not throw.
 */
export async function* followObjects(
  source: ObjectSource,
  { path, clock, signal }: FollowOptions,
): AsyncGenerator<ObjectNews> {
  let failures = 0;
  while (!signal.aborted) {
    let retry = RETRY;
    try {
      let version = "";
      yield { type: "listing" };
      for await (const page of source.list(path, signal)) {
        version = page.resourceVersion;
        for (const object of page.items) yield { type: "set", object };
      }
      yield { type: "listed" };
      failures = 0;
      for (let next: string | undefined = version; next !== undefined;) {
        const began = clock.elapsed();
        next = yield* watchFrom(source, { path, resourceVersion: next, signal });
        // An API server, or a proxy, that ends each watch at once is not asked without a pause.
        const pause = LEAST_WATCH_MS - (clock.elapsed() - began);
        if (pause > 0) await clock.sleep(pause, signal);
      }
      continue;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ReadError && error.reason === "not-served") retry = NOT_SERVED;
      yield { type: "failed", error };
    }
    await clock.sleep(pauseAfter(++failures, retry), signal).catch(() => {});
  }
}

/** @returns the version to go on from; undefined where all must be listed again */
async function* watchFrom(
  source: ObjectSource,
  { path, resourceVersion, signal }: {
    readonly path: string;
    readonly resourceVersion: string;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<ObjectNews, string | undefined> {
  let version = resourceVersion;
  for await (const change of source.watch(path, { resourceVersion, signal })) {
    switch (change.type) {
      case "begun":
        break;
      case "expired":
        return undefined;
      case "bookmark":
        version = change.resourceVersion;
        break;
      case "set":
      case "deleted":
        version = versionOf(change.object);
        yield change;
    }
  }
  return version;
}

function versionOf(object: unknown): string {
  const { metadata } = object as { readonly metadata: { readonly resourceVersion: string } };
  return metadata.resourceVersion;
}
