/** How often it is looked whether the machine is late, and how late it must be to count, in milliseconds. */
const BEAT = 50;
const LATE = 250;
const MEMORY = 5_000;

/**
 * Whether the machine gives processes time to run: by a timer of the harness's own. On a machine
 * with much more work than cores, nobody can answer in time.
 */
export class Machine {
  #last = performance.now();
  #lateAt = -Infinity;
  readonly #timer = setInterval(() => {
    const now = performance.now();
    if (now - this.#last > BEAT + LATE) this.#lateAt = now;
    this.#last = now;
  }, BEAT);

  /** Whether timers were late a moment ago. */
  get overloaded(): boolean {
    const now = performance.now();
    return now - this.#lateAt < MEMORY || now - this.#last > BEAT + LATE;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
