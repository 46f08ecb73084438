import type { Clock } from "../../async/clock.ts";
import type { ClaimRecord } from "../model.ts";

/** How long an unprepared claim is remembered: starting a pod takes a kubelet seconds, or minutes. */
const REMEMBERED_MS = 5 * 60_000;

/**
 * Claims that pods can share and that were unprepared a short while ago. Kubelets of before July 2026
 * can take up a pod while they unprepare a claim that it uses, and do not prepare the claim again.
 */
export class DepartedClaims {
  readonly #clock: Clock;
  readonly #departed = new Map<string, { readonly record: ClaimRecord; until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(record: ClaimRecord): void {
    if (!record.shareable) return;
    this.#departed.delete(record.claim.uid);
    this.#departed.set(record.claim.uid, { record, until: this.#end() });
  }

  delete(claimUid: string): void {
    this.#departed.delete(claimUid);
  }

  /** Someone waits for it: it is remembered from now on. */
  recall(claimUid: string): ClaimRecord | undefined {
    this.#expire();
    const known = this.#departed.get(claimUid);
    if (known) known.until = this.#end();
    return known?.record;
  }

  in(namespace: string): ClaimRecord[] {
    this.#expire();
    return [...this.#departed.values()].map(({ record }) => record)
      .filter(({ claim }) => claim.namespace === namespace);
  }

  #end(): number {
    return this.#clock.now().getTime() + REMEMBERED_MS;
  }

  #expire(): void {
    const now = this.#clock.now().getTime();
    for (const [uid, { until }] of this.#departed) if (until < now) this.#departed.delete(uid);
  }
}
