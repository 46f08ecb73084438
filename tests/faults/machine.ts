/** How often it is looked whether the machine is late, and how late it must be to count, in milliseconds. */
const BEAT = 50;
const LATE = 250;
const MEMORY = 5_000;
/** For how much of the last ten seconds something waited for a processor, where the kernel tells. */
const PRESSURE = 80;

/**
 * Whether the machine gives processes time to run: by a timer of the harness's own, and by what the
 * kernel says. On a machine with much more work than cores, nobody can answer in time.
 */
export class Machine {
  #last = performance.now();
  #lateAt = -Infinity;
  readonly #timer = setInterval(() => {
    const now = performance.now();
    if (now - this.#last > BEAT + LATE) this.#lateAt = now;
    this.#last = now;
  }, BEAT);

  /** Whether timers were late a moment ago, or processors are short. */
  get overloaded(): boolean {
    const now = performance.now();
    return pressure() >= PRESSURE || now - this.#lateAt < MEMORY ||
      now - this.#last > BEAT + LATE;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function pressure(): number {
  try {
    const text = Deno.readTextFileSync("/proc/pressure/cpu");
    return Number(text.match(/^some avg10=([0-9.]+)/)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
