import type { Clock } from "./clock.ts";

/** When a task only waits for something, as for an answer on a network. */
export interface Waiting {
  readonly clock: Clock;
  /** It does if it still runs after this, in milliseconds. */
  readonly after: number;
  /** As many at once give their places to others. */
  readonly most: number;
}

const ENDED = new Error("the task has ended");

/**
 * Where a task stands in the line: before those of a higher number. It is asked for each time that a
 * place becomes free.
 */
export type Turn = () => number;

/** Before everyone else. */
export const FIRST = 0;

/** Lets at most `width` tasks run at once; the others wait for their turn. */
export class Limiter {
  readonly #width: number;
  readonly #waiting: Waiting | undefined;
  /** Tasks that run without a place. */
  #placeless = 0;
  readonly #queue: { readonly turn: Turn; readonly enter: () => void }[] = [];
  #numbers = FIRST;
  #running = 0;
  readonly #patient: (() => void)[] = [];
  #patientRuns = false;

  /** @param waiting tasks that only wait do not keep others, who would use the cores, from running */
  constructor(width: number, waiting?: Waiting) {
    this.#width = width;
    this.#waiting = waiting;
  }

  /** A number behind all that were drawn before. */
  drawNumber(): number {
    return ++this.#numbers;
  }

  /** @param turn by default behind those that came before */
  async run<T>(task: () => Promise<T>, turn: Turn = this.#arrival()): Promise<T> {
    if (this.#running < this.#width) this.#running++;
    else await new Promise<void>((enter) => this.#queue.push({ turn, enter }));
    const ended = new AbortController();
    let placeless = false;
    void this.#waits(ended.signal).then((waits) => {
      if (!waits) return;
      placeless = true;
      this.#placeless++;
      this.#givePlace();
    });
    try {
      return await task();
    } finally {
      // With a reason of its own each abort would make an error with a stack.
      ended.abort(ENDED);
      if (placeless) this.#placeless--;
      else this.#givePlace();
      this.#letPatientIn();
    }
  }

  #arrival(): Turn {
    const number = this.drawNumber();
    return () => number;
  }

  /** Whether a task turns out to be one that only waits, and may give its place away. */
  async #waits(ended: AbortSignal): Promise<boolean> {
    if (!this.#waiting) return false;
    const { clock, after, most } = this.#waiting;
    await clock.sleep(after, ended).catch(() => {});
    return !ended.aborted && this.#placeless < most;
  }

  /** It goes to the next in line as it is, so nobody can slip in between. */
  #givePlace(): void {
    const next = this.#takeNext();
    if (next) next.enter();
    else this.#running--;
  }

  #takeNext() {
    const turns = this.#queue.map(({ turn }) => turn());
    const next = turns.indexOf(Math.min(...turns));
    return next < 0 ? undefined : this.#queue.splice(next, 1)[0];
  }

  /**
   * For what can wait. It takes none of the places, so that it keeps nobody from one even if it
   * hangs: one such task at a time runs beside the others, and begins only while none of them waits.
   * Rejects with the signal's reason when it is aborted before the task began.
   */
  async runAside<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#patient.splice(this.#patient.indexOf(enter), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#patient.push(enter);
      this.#letPatientIn();
    });
    try {
      return await task();
    } finally {
      this.#patientRuns = false;
      this.#letPatientIn();
    }
  }

  #letPatientIn(): void {
    if (this.#patientRuns || this.#queue.length > 0) return;
    const enter = this.#patient.shift();
    if (!enter) return;
    this.#patientRuns = true;
    enter();
  }
}
