import type { ClaimRef } from "../../claim/attachment.ts";
import { claimsOf } from "../attachments/attachment_view.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import type { ClaimMetadata } from "../model.ts";
import type { ContainerAdmission, Mark } from "./container_admission.ts";

/** What tells whether the containers of a claim may start. */
export interface ClaimAccessSources {
  readonly sandboxes: Sandboxes;
  readonly admission: ContainerAdmission;
  /** The prepared claims. */
  readonly prepared: () => readonly { readonly claim: ClaimRef }[];
  /** What containers that name the claim read of it now. */
  readonly metadata: (claim: ClaimRef) => ClaimMetadata;
}

/** Decides what becomes of containers that name a claim, from the sandboxes that use it. */
export class ClaimAccess {
  readonly #sources: ClaimAccessSources;
  /** Whether sandboxes may come of which the runtime cannot tell the agent. */
  #runtimeAway = false;

  constructor(sources: ClaimAccessSources) {
    this.#sources = sources;
  }

  /** Something changed of which containers that name the claim may be in need. */
  update(claim: ClaimRef): void {
    this.#set(claim, this.#runtimeAway);
  }

  /** The runtime is away, or has told of all its sandboxes since it came back. */
  setRuntimeAway(away: boolean): void {
    this.#runtimeAway = away;
    const { sandboxes, prepared } = this.#sources;
    const entries = sandboxes.all().flatMap((network) => network.entries);
    for (const claim of claimsOf([...prepared(), ...entries])) this.update(claim);
  }

  /** Until the agent is back, no container may be created whose network is not there. */
  async close(): Promise<void> {
    for (const entry of this.#sources.sandboxes.all().flatMap(({ entries }) => entries)) {
      if (!entry.ready) this.#set(entry.claim, true);
    }
    await this.#sources.admission.close();
  }

  #set(claim: ClaimRef, away: boolean): void {
    const { admission, metadata } = this.#sources;
    void admission.set(metadata(claim), this.#markOf(claim.uid, away));
  }

  /**
   * Containers start as soon as one of the sandboxes that use the claim has all its networks: a
   * runtime knows claims here, and no sandboxes. What is lost or written anew afterwards keeps none
   * waiting.
   */
  #markOf(claimUid: string, away: boolean): Mark {
    const living = this.#sources.sandboxes.withClaim(claimUid).filter(({ stopped }) => !stopped);
    const wanted = living.map((network) => network.of(claimUid).filter(({ wanted }) => wanted))
      .filter(({ length }) => length > 0);
    const passes = wanted.some((entries) => entries.every(({ ready }) => ready));
    if (passes) return away ? "noNewContainers" : "pass";
    return away || wanted.length === 0 ? "none" : "wait";
  }
}
