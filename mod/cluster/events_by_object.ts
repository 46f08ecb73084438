import type { EventObject } from "./objects.ts";

/** Events by the UID of the object that they are about, the latest first. */
export type EventsByObject = ReadonlyMap<string, readonly EventObject[]>;

/** Sorts events by the object that they are about. */
export function eventsByObject(events: readonly EventObject[]): EventsByObject {
  const found = new Map<string, EventObject[]>();
  for (const event of events) {
    const { uid } = event.about;
    const list = found.get(uid);
    if (list) list.push(event);
    else found.set(uid, [event]);
  }
  for (const list of found.values()) list.sort((one, other) => one.last < other.last ? 1 : -1);
  return found;
}
