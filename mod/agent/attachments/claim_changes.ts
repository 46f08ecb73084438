import type { ClaimRef } from "../../claim/attachment.ts";

/**
 * Where it is told that something about a claim changed: its record, an attachment of it, a sandbox
 * that uses it. Whoever shows or guards claims subscribes, and looks at what is so now.
 */
export class ClaimChanges {
  readonly #subscribers: ((claim: ClaimRef) => void)[] = [];

  /** @param told is called at once, in the order of subscription, and must not throw */
  subscribe(told: (claim: ClaimRef) => void): void {
    this.#subscribers.push(told);
  }

  publish(claim: ClaimRef): void {
    for (const told of this.#subscribers) told(claim);
  }
}
