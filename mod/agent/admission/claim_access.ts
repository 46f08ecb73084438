import type { ClaimRef } from "../../claim/attachment.ts";
import { claimsOf } from "../attachments/attachment_view.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import type { ClaimMetadata } from "../model.ts";
import type { ContainerAdmission, Mark } from "./container_admission.ts";

/** The data that decides whether the containers of a claim may start. */
export interface ClaimAccessSources {
  readonly sandboxes: Sandboxes;
  readonly admission: ContainerAdmission;
  /** The prepared claims. */
  readonly prepared: () => readonly { readonly claim: ClaimRef }[];
  readonly isPrepared: (claimUid: string) => boolean;
  /** What containers that name the claim can read about it now. */
  readonly metadata: (claim: ClaimRef) => ClaimMetadata;
}

/**
 * Decides whether containers that name a claim wait or start, based on the sandboxes that use it.
 */
export class ClaimAccess {
  readonly #sources: ClaimAccessSources;
  /** Whether there may be new sandboxes that the runtime cannot report to the agent. */
  #runtimeAway = false;
  /**
   * UIDs of claims that were prepared when the runtime listed its sandboxes, and that none of these
   * used. Containerd 1.7 and CRI-O leave out a sandbox that is being started: the agent learns of
   * it only when its first container is created.
   */
  readonly #awaited = new Set<string>();

  constructor(sources: ClaimAccessSources) {
    this.#sources = sources;
  }

  /** Something changed that may matter to containers that name the claim. */
  update(claim: ClaimRef): void {
    this.#set(claim, this.#runtimeAway);
  }

  /** The runtime is disconnected, or has listed its sandboxes since it reconnected. */
  setRuntimeAway(away: boolean): void {
    this.#runtimeAway = away;
    const { sandboxes, prepared } = this.#sources;
    this.#awaited.clear();
    if (!away) { for (const { claim } of prepared()) this.#awaited.add(claim.uid); }
    const entries = sandboxes.all().flatMap((network) => network.entries);
    for (const claim of claimsOf([...prepared(), ...entries])) this.update(claim);
  }

  /** The claim is about to be unprepared: no more sandboxes will use it. */
  withdraw(claim: ClaimRef): void {
    this.#awaited.delete(claim.uid);
    this.update(claim);
  }

  /** Until the agent is back, no container may be created whose network is not there. */
  async close(): Promise<void> {
    const awaited = this.#sources.prepared().filter(({ claim }) => this.#awaited.has(claim.uid));
    for (const { claim } of awaited) this.#set(claim, true);
    for (const entry of this.#sources.sandboxes.all().flatMap(({ entries }) => entries)) {
      if (!entry.ready) this.#set(entry.claim, true);
    }
    await this.#sources.admission.close();
  }

  #set(claim: ClaimRef, away: boolean): void {
    const { admission, metadata } = this.#sources;
    void admission.set(claim, this.#markOf(claim.uid, away), () => metadata(claim));
  }

  /**
   * Containers may start as soon as one of the sandboxes that use the claim has all its networks,
   * because CDI devices belong to claims, not to sandboxes. A later loss or repair makes no
   * container wait.
   */
  #markOf(claimUid: string, away: boolean): Mark {
    let isWanted = false;
    let passes = false;
    for (const network of this.#sources.sandboxes.withClaim(claimUid)) {
      if (network.stopped) continue;
      const wanted = network.of(claimUid).filter(({ wanted }) => wanted);
      if (wanted.length === 0) continue;
      isWanted = true;
      passes = wanted.every(({ ready }) => ready);
      if (passes) break;
    }
    if (isWanted) this.#awaited.delete(claimUid);
    if (passes) return away ? "noNewContainers" : "pass";
    const isAwaited = this.#awaited.has(claimUid) && this.#sources.isPrepared(claimUid);
    return !away && (isWanted || isAwaited) ? "wait" : "none";
  }
}
