import type { Chance } from "./chance.ts";

/** Where the virtual time begins, in milliseconds. */
const BEGIN = Date.parse("2026-01-01T00:00:00Z");
/** So many events in one moment are not a coincidence. */
const MOST_AT_ONCE = 100_000;
/** How often the next event comes before all has been done about the one before it. */
const INTERLEAVED = 0.2;
/** After how many microtasks at the most. */
const DEPTH = 24;
/** The same where what follows from an event races with the next: as long as that usually is. */
const RACE = { least: 14, most: 22 };

interface Event {
  readonly at: number;
  /** Drawn: which of two events of one moment comes first is nobody's to rely on. */
  readonly tie: number;
  readonly number: number;
  /** Undefined once it was cancelled. */
  run: (() => void) | undefined;
  /** Whether an event of the same moment comes while what follows from this one is still queued. */
  readonly isRace: boolean;
}

/** Runs what is queued as microtasks to its end, without a turn of the event loop. */
const runMicrotasks: () => void = (() => {
  // deno-lint-ignore no-explicit-any
  const internals = Deno as any;
  return internals[internals.internal].core.runMicrotasks;
})();

/**
 * Virtual time, and all that happens in it: one event after the other, in the order of their times.
 * It must be driven from outside of any microtask.
 */
export class Scheduler {
  readonly #chance: Chance;
  readonly #events: Event[] = [];
  #numbers = 0;
  now = BEGIN;
  steps = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.now - BEGIN;
  }

  /** Returns a function that cancels it. */
  after(ms: number, run: () => void, { isRace = false } = {}): () => void {
    const event: Event = {
      at: this.now + Math.max(0, ms),
      tie: isRace ? -1 : this.#chance.draw("tie"),
      number: this.#numbers++,
      run,
      isRace,
    };
    push(this.#events, event);
    return () => event.run = undefined;
  }

  /** Resolves after `ms`, for the parts of the world that are not under test. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** The same, but as close as can be to whatever else is due at that moment. */
  sleepAndRace(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve, { isRace: true }));
  }

  /** Lets things happen until `done`, or until the virtual time is over. */
  runUntil(done: () => boolean, limit: number): void {
    const end = this.now + limit;
    let atOnce = 0;
    runMicrotasks();
    while (!done()) {
      const event = this.#next(end);
      if (!event) {
        this.now = end;
        return;
      }
      atOnce = event.at > this.now ? 0 : atOnce + 1;
      if (atOnce > MOST_AT_ONCE) throw new Error("something goes round and round: no time passes");
      this.now = event.at;
      event.run!();
      this.#interleave(event, end);
      runMicrotasks();
      this.steps++;
    }
  }

  /** The next event may come while continuations of the one before are still queued. */
  #interleave(before: Event, end: number): void {
    const first = this.#peek();
    if (!first || first.at > Math.min(end, this.now + 1)) return;
    const isRace = before.isRace && first.at === before.at;
    if (!isRace && !this.#chance.hits("interleave", INTERLEAVED)) return;
    const next = this.#next(end)!;
    let left = isRace
      ? this.#chance.between("race depth", RACE.least, RACE.most)
      : this.#chance.between("depth", 0, DEPTH);
    const go = () => {
      if (left-- > 0) return void Promise.resolve().then(go);
      this.now = Math.max(this.now, next.at);
      // What ran meanwhile may have cancelled it.
      next.run?.();
    };
    go();
  }

  #next(end: number): Event | undefined {
    const first = this.#peek();
    if (!first || first.at > end) return undefined;
    pop(this.#events);
    return first;
  }

  /** The next one that was not cancelled. */
  #peek(): Event | undefined {
    while (this.#events.length > 0 && !this.#events[0]!.run) pop(this.#events);
    return this.#events[0];
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.number < b.number;
}

/** Adds to a binary heap. */
function push(heap: Event[], event: Event): void {
  let i = heap.length;
  heap.push(event);
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!isBefore(event, heap[parent]!)) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = event;
}

/** Removes the first of a binary heap. */
function pop(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
    if (!isBefore(heap[child]!, last)) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = last;
}
