import type { Keyed, MapPicture, MapSummary, MapThings } from "./map_picture.ts";

/** What is different in a later picture. */
export interface MapChanges {
  /** New, or not as they were. */
  readonly set: { readonly [K in keyof MapThings]?: MapThings[K] };
  /** Keys of what is gone. */
  readonly gone: { readonly [K in keyof MapThings]?: readonly string[] };
  readonly summary?: MapSummary;
}

const KINDS: readonly (keyof MapThings)[] = ["nodes", "devices", "networks", "pods"];

/** From one picture to the next; undefined where nothing is different. */
export function changesBetween(before: MapPicture, after: MapPicture): MapChanges | undefined {
  const set: Record<string, readonly Keyed[]> = {};
  const gone: Record<string, readonly string[]> = {};
  for (const kind of KINDS) {
    const known = new Map<string, Keyed>(before[kind].map((each) => [each.key, each]));
    const changed: Keyed[] = [];
    for (const each of after[kind]) {
      const earlier = known.get(each.key);
      known.delete(each.key);
      if (!earlier || !isSame(earlier, each)) changed.push(each);
    }
    if (changed.length > 0) set[kind] = changed;
    if (known.size > 0) gone[kind] = [...known.keys()];
  }
  const isNewSummary = !isSame(before.summary, after.summary);
  if (!isNewSummary && Object.keys(set).length === 0 && Object.keys(gone).length === 0) {
    return undefined;
  }
  return { set, gone, ...(isNewSummary && { summary: after.summary }) };
}

/** The later picture, as `changesBetween` describes it; new things are at the end. */
export function applyChanges(before: MapPicture, changes: MapChanges): MapPicture {
  const of = <T extends Keyed>(
    things: readonly T[],
    set: readonly T[] = [],
    gone: readonly string[] = [],
  ): readonly T[] => {
    if (set.length === 0 && gone.length === 0) return things;
    const kept = new Map(things.map((each) => [each.key, each]));
    for (const key of gone) kept.delete(key);
    for (const each of set) kept.set(each.key, each);
    return [...kept.values()];
  };
  const { set, gone, summary = before.summary } = changes;
  return {
    nodes: of(before.nodes, set.nodes, gone.nodes),
    devices: of(before.devices, set.devices, gone.devices),
    networks: of(before.networks, set.networks, gone.networks),
    pods: of(before.pods, set.pods, gone.pods),
    summary,
  };
}

/** Both are made by the same code, with their fields in the same order. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
