import type { Clock } from "../../async/clock.ts";
import type { ClaimRecord } from "../model.ts";
import type { Journal } from "../ports.ts";

/** How long an unprepared claim is remembered: starting a pod takes a kubelet seconds, or minutes. */
const REMEMBERED_MS = 5 * 60_000;

/**
 * Claims that pods can share and that were unprepared a short while ago. Kubelets of before July 2026
 * can take up a pod while they unprepare a claim that it uses, or after an answer that did not reach
 * them, and do not prepare the claim again. The journal remembers them too, for the next agent.
 */
export class DepartedClaims {
  readonly #clock: Clock;
  readonly #journal: Pick<Journal, "forgetDeparted">;
  readonly #departed = new Map<string, { readonly record: ClaimRecord; until: number }>();

  constructor(
    { clock, journal }: {
      readonly clock: Clock;
      readonly journal: Pick<Journal, "forgetDeparted">;
    },
  ) {
    this.#clock = clock;
    this.#journal = journal;
  }

  add(record: ClaimRecord): void {
    if (!record.shareable) return;
    this.#departed.set(record.claim.uid, { record, until: this.#end() });
  }

  delete(claimUid: string): void {
    if (this.#departed.delete(claimUid)) this.#journal.forgetDeparted(claimUid);
  }

  /** Someone waits for it: it is remembered from now on. */
  recall(claimUid: string): ClaimRecord | undefined {
    this.expire();
    const known = this.#departed.get(claimUid);
    if (known) known.until = this.#end();
    return known?.record;
  }

  in(namespace: string): ClaimRecord[] {
    this.expire();
    return [...this.#departed.values()].map(({ record }) => record)
      .filter(({ claim }) => claim.namespace === namespace);
  }

  /** Forgets those whose time is over. */
  expire(): void {
    const now = this.#clock.elapsed();
    for (const [uid, { until }] of this.#departed) if (until < now) this.delete(uid);
  }

  #end(): number {
    return this.#clock.elapsed() + REMEMBERED_MS;
  }
}
