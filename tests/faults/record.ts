/** The parts of a run that are kept: its operations, faults, checks and violations. */

/** What must hold at all times; numbered as in docs/faults.md. */
export const INVARIANTS = {
  gate: "1. containers start only when all networks of their pod are attached",
  leftovers: "2. when pods are gone, nothing of them is left",
  living: "3. no attachment of a living pod is deleted",
  status: "4. status.devices tells the truth within 10 s",
  others: "5. entries of other drivers stay as they are",
  serial: "6. operations of one container do not overlap",
  resources: "7. the agent's memory and descriptors return to where they were",
  progress: "8. when faults are over, every pod gets what it asks for, and the agent lives",
  addresses:
    "9. an address of the cluster has one holder, from its ADD to its DEL, and none is left",
} as const;
export type Invariant = keyof typeof INVARIANTS;

/** Lines of the past that a violation shows. */
const SHOWN = 40;

export class Record {
  readonly #began = performance.now();
  readonly #write: (line: string) => void;
  readonly #keep?: (line: string) => void;
  readonly #seed: number;
  readonly #lines: string[] = [];
  readonly faults = new Map<string, number>();
  readonly crashPoints = new Map<string, number>();
  readonly checks = new Map<Invariant, number>();
  /** How many things of an invariant were wrong. */
  readonly violated = new Map<Invariant, number>();
  /** Scheduled operations, and calls that were made for them: an operation that fails is repeated. */
  operations = 0;
  excused = 0;
  calls = 0;
  round = 0;

  /** @param keep takes every line, for those who want them all */
  constructor({ seed, write, keep }: {
    readonly seed: number;
    readonly write: (line: string) => void;
    readonly keep?: (line: string) => void;
  }) {
    this.#seed = seed;
    this.#write = write;
    this.#keep = keep;
  }

  get violations(): number {
    return [...this.violated.values()].reduce((sum, each) => sum + each, 0);
  }

  get faultCount(): number {
    return [...this.faults.values()].reduce((sum, each) => sum + each, 0);
  }

  note(line: string): void {
    const timed = `${this.#time()} ${line}`;
    this.#keep?.(timed);
    this.#lines.push(timed);
    if (this.#lines.length > 4 * SHOWN) this.#lines.splice(0, 3 * SHOWN);
  }

  fault(kind: string, about = ""): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.note(`FAULT ${kind} ${about}`.trim());
  }

  /** Where agents died that were told to. */
  crashes(at: ReadonlyMap<string, number>): void {
    for (const [point, times] of at) {
      this.crashPoints.set(point, (this.crashPoints.get(point) ?? 0) + times);
    }
  }

  checked(invariant: Invariant, times = 1): void {
    this.checks.set(invariant, (this.checks.get(invariant) ?? 0) + times);
  }

  /** What would be a violation on a machine that is not overloaded. */
  excuse(what: string): void {
    this.excused++;
    this.note(`EXCUSED, the machine is overloaded: ${what}`);
  }

  violation(invariant: Invariant, what: string): void {
    this.violated.set(invariant, (this.violated.get(invariant) ?? 0) + 1);
    this.#write(`\nVIOLATION of ${INVARIANTS[invariant]}`);
    this.#write(`  ${what}`);
    this.#write(
      `  at ${this.#time()}, round ${this.round}, operation ${this.operations}, seed ${this.#seed}`,
    );
    // What was shown once is not shown again.
    const lines = this.#lines.slice(-SHOWN);
    this.#lines.length = 0;
    if (lines.length > 0) this.#write(["  before it:", ...lines].join("\n    "));
  }

  progress(): void {
    const seconds = (performance.now() - this.#began) / 1000;
    this.#write(
      `round ${this.round}: ${this.operations} operations, ${this.faultCount} faults, ` +
        `${this.violations} violations, ${seconds.toFixed(0)} s`,
    );
  }

  #time(): string {
    return `${((performance.now() - this.#began) / 1000).toFixed(2)}s`;
  }
}
