import type { Chance } from "./chance.ts";

/** Where the virtual time begins, in milliseconds. */
const BEGIN = Date.parse("2026-01-01T00:00:00Z");
/** How often the next event comes before all has been done about the one before it. */
const INTERLEAVED = 0.2;
/** After how many microtasks at the most. */
const DEPTH = 24;

interface Event {
  readonly at: number;
  /** Drawn: which of two events of one moment comes first is nobody's to rely on. */
  readonly tie: number;
  readonly number: number;
  /** Undefined once it was cancelled. */
  run: (() => void) | undefined;
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
  after(ms: number, run: () => void): () => void {
    const event: Event = {
      at: this.now + Math.max(0, ms),
      tie: this.#chance.draw("tie"),
      number: this.#numbers++,
      run,
    };
    push(this.#events, event);
    return () => event.run = undefined;
  }

  /** Resolves after `ms`, for the parts of the world that are not under test. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Lets things happen until `done`, or until the virtual time is over. */
  runUntil(done: () => boolean, limit: number): void {
    const end = this.now + limit;
    runMicrotasks();
    while (!done()) {
      const event = this.#next(end);
      if (!event) {
        this.now = end;
        return;
      }
      this.now = event.at;
      event.run!();
      this.#interleave(end);
      runMicrotasks();
      this.steps++;
    }
  }

  /** The next event may come while continuations of the one before are still queued. */
  #interleave(end: number): void {
    const next = this.#events[0];
    if (!next || next.at > Math.min(end, this.now + 1)) return;
    if (!this.#chance.hits("interleave", INTERLEAVED)) return;
    const event = this.#next(end);
    if (!event) return;
    let left = this.#chance.between("depth", 0, DEPTH);
    const go = () => {
      if (left-- > 0) return void Promise.resolve().then(go);
      this.now = Math.max(this.now, event.at);
      // What ran meanwhile may have cancelled it.
      event.run?.();
    };
    go();
  }

  #next(end: number): Event | undefined {
    for (;;) {
      const first = this.#events[0];
      if (!first || first.run && first.at > end) return undefined;
      pop(this.#events);
      if (first.run) return first;
    }
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
