import { type Backoff, pauseAfter } from "../async/backoff.ts";
import type { Clock } from "../async/clock.ts";
import type { ObjectSource } from "./ports.ts";

/** Between two tries to read a list that cannot be read, in milliseconds. */
export const RETRY: Backoff = { first: 1_000, most: 30_000 };

/** A watch that ended earlier is followed by another only after this time, in milliseconds. */
const LEAST_WATCH_MS = 500;

/** The list that is followed, and who is told of it. */
export interface FollowedList<T> {
  /** With its query, such as `/apis/dra.networking/v1alpha1/networks`. */
  readonly path: string;
  readonly keyOf: (object: unknown) => string;
  /** Undefined for an object of no interest. */
  readonly parse: (object: unknown) => T | undefined;
  /** Everything was listed; later changes are made in this map. */
  readonly listed: (objects: Map<string, T>) => void;
  /** An object of the map was set or deleted. */
  readonly changed: () => void;
  /** The list or the watch has failed. @returns how long to wait before the next try */
  readonly failed: (error: unknown) => Backoff;
}

/**
 * Follows a list until the signal is aborted: by one list and one watch, and by another list only
 * where the API server says that the watch has missed something.
 */
export async function followList<T>(
  source: ObjectSource,
  list: FollowedList<T>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      const read = await readList(source, list, signal);
      let version: string | undefined = read.version;
      failures = 0;
      while (!signal.aborted && version !== undefined) {
        const began = clock.elapsed();
        version = await watch(source, list, { from: version, objects: read.objects, signal });
        // An API server, or a proxy, that ends each watch at once is not asked without a pause.
        const pause = LEAST_WATCH_MS - (clock.elapsed() - began);
        if (pause > 0) await clock.sleep(pause, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      const backoff = list.failed(error);
      await clock.sleep(pauseAfter(++failures, backoff), signal).catch(() => {});
    }
  }
}

async function readList<T>(
  source: ObjectSource,
  { path, keyOf, parse, listed }: FollowedList<T>,
  signal: AbortSignal,
): Promise<{ readonly objects: Map<string, T>; readonly version: string }> {
  const objects = new Map<string, T>();
  let version = "";
  for await (const page of source.list(path, signal)) {
    version = page.resourceVersion;
    for (const object of page.items) {
      const item = parse(object);
      if (item !== undefined) objects.set(keyOf(object), item);
    }
  }
  listed(objects);
  return { objects, version };
}

/** The version to go on from; undefined where all must be listed again. */
async function watch<T>(
  source: ObjectSource,
  { path, keyOf, parse, changed }: FollowedList<T>,
  { from, objects, signal }: {
    readonly from: string;
    readonly objects: Map<string, T>;
    readonly signal: AbortSignal;
  },
): Promise<string | undefined> {
  let resourceVersion = from;
  for await (const change of source.watch(path, { resourceVersion, signal })) {
    switch (change.type) {
      case "begun":
        break;
      case "expired":
        return undefined;
      case "bookmark":
        resourceVersion = change.resourceVersion;
        break;
      case "set":
      case "deleted": {
        resourceVersion = versionOf(change.object);
        const item = change.type === "set" ? parse(change.object) : undefined;
        const key = keyOf(change.object);
        if (item !== undefined) objects.set(key, item);
        // An object of no interest changes nothing.
        else if (!objects.delete(key)) break;
        changed();
      }
    }
  }
  return resourceVersion;
}

interface Versioned {
  readonly metadata: { readonly resourceVersion: string };
}

function versionOf(object: unknown): string {
  return (object as Versioned).metadata.resourceVersion;
}
