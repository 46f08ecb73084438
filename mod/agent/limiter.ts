/** Lets at most `width` tasks run at once; the others wait in the order they came. */
export class Limiter {
  readonly #width: number;
  readonly #queue: (() => void)[] = [];
  #running = 0;
  readonly #patient: (() => void)[] = [];
  #patientRuns = false;

  constructor(width: number) {
    this.#width = width;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#width) this.#running++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      return await task();
    } finally {
      // The place goes to the next in line as it is, so nobody can slip in between.
      const next = this.#queue.shift();
      if (next) next();
      else this.#running--;
      this.#letPatientIn();
    }
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
