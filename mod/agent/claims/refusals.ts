import type { ClaimRef } from "../../claim/attachment.ts";
import type { Clock } from "../../async/clock.ts";

/** The kubelet asks again every one to two minutes for as long as the pod is there. */
const LIFE_MS = 5 * 60_000;
/** A node has hundreds of pods; of more refusals than this the latest are kept. */
const MOST = 256;

/** A claim that could not be prepared. */
export interface Refusal {
  readonly claim: ClaimRef;
  readonly error: string;
  /** When the first of the tries in a row failed that the last one belongs to. */
  readonly since: Date;
  readonly tries: number;
}

/**
 * Which claims could not be prepared when the kubelet asked for them last, and why. Only people want to
 * know: the kubelet was told, and nobody says when it gives up, so that each is forgotten in time.
 */
export class Refusals {
  readonly #clock: Clock;
  /** By the claim's UID, the latest at the end. */
  readonly #refusals = new Map<string, Refusal & { readonly lastMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  refused(claim: ClaimRef, error: string): void {
    const before = this.#living(claim.uid);
    this.#refusals.delete(claim.uid);
    this.#refusals.set(claim.uid, {
      claim,
      error,
      since: before?.since ?? this.#clock.now(),
      tries: (before?.tries ?? 0) + 1,
      lastMs: this.#clock.elapsed(),
    });
    if (this.#refusals.size > MOST) this.#refusals.delete(this.#refusals.keys().next().value!);
  }

  accepted(claimUid: string): void {
    this.#refusals.delete(claimUid);
  }

  /** The latest last. */
  all(): Refusal[] {
    return [...this.#refusals.keys()].flatMap((uid) => this.#living(uid) ?? []);
  }

  #living(claimUid: string): Refusal | undefined {
    const refusal = this.#refusals.get(claimUid);
    if (!refusal || this.#clock.elapsed() - refusal.lastMs <= LIFE_MS) return refusal;
    this.#refusals.delete(claimUid);
    return undefined;
  }
}
