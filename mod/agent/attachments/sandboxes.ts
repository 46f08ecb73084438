import type { AttachmentView } from "./attachment_view.ts";
import type { PodAttachments } from "./pod_attachments.ts";

/** The sandboxes that have networks, found by id and by claim: a node may have a thousand of each. */
export class Sandboxes {
  readonly #byId = new Map<string, PodAttachments>();
  readonly #byClaim = new Map<string, Set<PodAttachments>>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): PodAttachments | undefined {
    return this.#byId.get(id);
  }

  all(): PodAttachments[] {
    return [...this.#byId.values()];
  }

  /** Those that have something of the claim, be it on its way out. */
  withClaim(claimUid: string): PodAttachments[] {
    return [...this.#byClaim.get(claimUid) ?? []];
  }

  /** Whether a sandbox that lives has something of the claim. */
  inUse(claimUid: string): boolean {
    return this.withClaim(claimUid).some(({ stopped }) => !stopped);
  }

  entriesOf(claimUid: string): AttachmentView[] {
    return this.withClaim(claimUid).flatMap((network) => network.of(claimUid));
  }

  add(network: PodAttachments): void {
    this.#byId.set(network.sandbox.id, network);
  }

  /** To be called when the sandbox got something of the claim, or lost it. */
  update(network: PodAttachments, claimUid: string): void {
    const users = this.#byClaim.get(claimUid);
    if (network.of(claimUid).length > 0) {
      if (users) users.add(network);
      else this.#byClaim.set(claimUid, new Set([network]));
      return;
    }
    users?.delete(network);
    if (users?.size === 0) this.#byClaim.delete(claimUid);
    if (network.entries.length === 0) this.#byId.delete(network.sandbox.id);
  }
}
