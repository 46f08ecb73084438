import type { Clock } from "../async/clock.ts";
import { describeTime } from "../async/describe_time.ts";
import type { Lack, Log } from "../agent/ports.ts";
import type { Check } from "./check.ts";

/** Something that the agent waits for when it is not there. */
export interface Need {
  readonly name: string;
  /** What is said of it while it is met. */
  readonly met: string;
  /** What is missing now; undefined while it is met. */
  readonly lack: () => Lack | undefined;
}

/** How often needs are looked at, in milliseconds. */
const LOOK_INTERVAL_MS = 1_000;
/** The pauses before the log says again what is missing, in milliseconds; the last one recurs. */
const REPEATS_MS = [30_000, 300_000] as const;
/** A need that lacks one thing after the other is not logged more often than this, in milliseconds. */
const CHANGE_PAUSE_MS = 10_000;

type NeedState =
  | { readonly kind: "met" }
  | {
    readonly kind: "lacking";
    readonly lack: Lack;
    /** When the need was first found unmet, by the clock that is never set back. */
    readonly since: number;
    readonly said: Said | undefined;
  };

/** What the log has said of a need that is unmet. */
interface Said {
  readonly problem: string;
  readonly at: number;
  readonly times: number;
}

/**
 * What the agent needs from its node and cluster. The log says what is missing, and what to do, when
 * it is first found missing, again after 30 s and then every 5 minutes, and once when it is there.
 */
export class Needs {
  readonly #needs: readonly Need[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #states = new Map<Need, NeedState>();
  #ready = false;
  #runs = false;

  constructor(
    needs: readonly Need[],
    { clock, log }: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#needs = needs;
    this.#clock = clock;
    this.#log = log;
  }

  /** Looks again and again until the signal is aborted. The log says what is found only meanwhile. */
  async run(signal: AbortSignal): Promise<void> {
    this.#runs = true;
    while (!signal.aborted) {
      this.look();
      await this.#clock.sleep(LOOK_INTERVAL_MS, signal).catch(() => {});
    }
    this.#runs = false;
  }

  /** Looks at all needs now: whoever knows of a change calls this. */
  look(): void {
    for (const need of this.#needs) this.#update(need);
    const ready = this.#needs.every((need) => this.#states.get(need)?.kind === "met");
    if (ready && !this.#ready && this.#runs) this.#log.info("ready");
    this.#ready = ready;
  }

  /** Whether the needs of these names are met now. */
  areMet(...names: readonly string[]): boolean {
    return this.#needs.every(({ name, lack }) => !names.includes(name) || lack() === undefined);
  }

  /** As of now. */
  checks(): Check[] {
    this.look();
    return this.#needs.map((need) => {
      const state = this.#states.get(need)!;
      const ok = state.kind === "met";
      return { name: need.name, ok, says: ok ? need.met : this.#describe(state) };
    });
  }

  #describe({ lack, since }: NeedState & { readonly kind: "lacking" }): string {
    return `${lack.problem} (for ${describeTime(this.#now - since)}): ${lack.whatToDo}`;
  }

  #update(need: Need): void {
    const before = this.#states.get(need);
    const lack = need.lack();
    if (lack === undefined) {
      this.#states.set(need, { kind: "met" });
      if (before?.kind === "lacking" && before.said && this.#runs) {
        const after = describeTime(this.#now - before.since);
        this.#log.info(`${need.name}: ${need.met}`, { after });
      }
      return;
    }
    const now = this.#now;
    const { since, said } = before?.kind === "lacking" ? before : { since: now, said: undefined };
    const isDue = this.#runs && now >= dueAt(lack, { since, said });
    if (isDue) {
      const waiting = describeTime(now - since);
      this.#log.warn(`${need.name}: ${lack.problem}`, { whatToDo: lack.whatToDo, waiting });
    }
    const saying = isDue ? { problem: lack.problem, at: now, times: (said?.times ?? 0) + 1 } : said;
    this.#states.set(need, { kind: "lacking", lack, since, said: saying });
  }

  get #now(): number {
    return this.#clock.elapsed();
  }
}

/** When the log says a lack next. */
function dueAt(
  { problem, usualFor = 0 }: Lack,
  { since, said }: { readonly since: number; readonly said: Said | undefined },
): number {
  const usualUntil = since + usualFor;
  if (!said) return usualUntil;
  if (said.problem !== problem) return Math.max(usualUntil, said.at + CHANGE_PAUSE_MS);
  return said.at + REPEATS_MS[Math.min(said.times, REPEATS_MS.length) - 1]!;
}
