import type { MapPicture, MapState } from "./map_picture.ts";

/** How one attachment came about. */
export interface TimelineEntry {
  readonly key: string;
  /** Key of the pod. */
  readonly pod: string;
  /** `namespace/name` of the pod. */
  readonly name: string;
  /** What the network is called, or what the pod calls the claim. */
  readonly network: string;
  readonly state: MapState;
  /** Milliseconds since the epoch. */
  readonly began: number;
  readonly duration: Duration;
}

/** From when there were both the claim and the pod until the condition Ready, in milliseconds. */
export type Duration =
  | { readonly kind: "took"; readonly ms: number }
  /** It is not ready yet. */
  | { readonly kind: "waiting"; readonly ms: number }
  /** It was ready, or ended, before anything could be measured. */
  | { readonly kind: "unknown" };

/** States in which an attachment may still become ready. */
const MAY_COME: readonly MapState[] = [
  "failed",
  "no-claim",
  "unallocated",
  "attaching",
  "allocated",
];

/** All attachments of pods, the latest first. @param now milliseconds since the epoch */
export function timelineOf({ pods, networks }: MapPicture, now: number): TimelineEntry[] {
  const names = new Map(networks.map(({ key, name }) => [key, name]));
  const entries = pods.flatMap((pod) =>
    pod.attachments.map(({ key, podClaim, network, state, began, ready }): TimelineEntry => ({
      key,
      pod: pod.key,
      name: `${pod.namespace}/${pod.name}`,
      network: names.get(network ?? "") ?? podClaim,
      state,
      began: Date.parse(began),
      duration: durationOf({ state, began: Date.parse(began), ready, now }),
    }))
  );
  return entries.toSorted((one, other) =>
    other.began - one.began || (one.key < other.key ? -1 : 1)
  );
}

function durationOf(
  { state, began, ready, now }: {
    readonly state: MapState;
    readonly began: number;
    readonly ready: string | undefined;
    readonly now: number;
  },
): Duration {
  if (ready !== undefined) {
    const ms = Date.parse(ready) - began;
    // A pod that came to a claim that was ready already.
    return ms < 0 ? { kind: "unknown" } : { kind: "took", ms };
  }
  if (!MAY_COME.includes(state)) return { kind: "unknown" };
  return { kind: "waiting", ms: Math.max(0, now - began) };
}

/** Such as `0 s`, `12 s`, `3 min` or `2 h`: the API's times are of whole seconds. */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

/**
 * How long a bar is, from 0 to 1: by the logarithm, so that a second and an hour are both to be seen.
 *
 * @param longest of all bars, in milliseconds
 */
export function barLength(ms: number, longest: number): number {
  const of = (value: number) => Math.log1p(value / 1000);
  return longest <= 0 ? 0 : Math.min(1, of(ms) / of(longest));
}
