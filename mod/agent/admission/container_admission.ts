import { isDeepStrictEqual } from "node:util";
import type { ClaimRef } from "../../claim/attachment.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import { Notifier } from "../../async/notifier.ts";
import type { CdiFiles, Log } from "../ports.ts";
import type { ClaimMetadata } from "../model.ts";
import type { Clock } from "../../async/clock.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

const RETRY: Backoff = { first: 100, most: 10_000 };

/**
 * What becomes of containers that name a claim, with or without the agent:
 * - none: they are not created;
 * - wait: they are created, for the runtime asks the agent only then, and do not start;
 * - pass: they are created, and start;
 * - noNewContainers: none is created; those that were created before go on as they would have.
 */
export type Mark = "none" | "wait" | "pass" | "noNewContainers";

interface Wish {
  readonly metadata: ClaimMetadata;
  readonly mark: Mark;
  done: Promise<void>;
  /** Whether the files say so. */
  reached: boolean;
  /** Why they do not yet. */
  failure?: string;
}

/** Brings the CDI files of each claim to what is wanted. */
export class ContainerAdmission {
  readonly #ports: { readonly files: CdiFiles; readonly clock: Clock; readonly log: Log };
  readonly #stop = new AbortController();
  readonly #wishes = new Map<string, Wish>();
  readonly #changes = new Notifier();

  constructor(ports: { readonly files: CdiFiles; readonly clock: Clock; readonly log: Log }) {
    this.#ports = ports;
  }

  /** Returns a promise of the files being so, or of a later wish; nobody needs to wait for it. */
  set(metadata: ClaimMetadata, mark: Mark): Promise<void> {
    const { uid } = metadata.claim;
    const before = this.#wishes.get(uid);
    if (
      before?.mark === mark && (mark !== "pass" || isDeepStrictEqual(before.metadata, metadata))
    ) {
      return before.done;
    }
    const wish: Wish = { metadata, mark, done: Promise.resolve(), reached: false };
    wish.done = (before?.done ?? Promise.resolve()).then(() => this.#carryOut(wish, before));
    this.#wishes.set(uid, wish);
    this.#changes.notify();
    return wish.done;
  }

  /**
   * Resolves when containers that name the claim start. Rejects when they still do not as the signal
   * is aborted, with the file that could not be written where that is why.
   */
  async passes(claim: ClaimRef, signal: AbortSignal): Promise<void> {
    for (;;) {
      const wish = this.#wishes.get(claim.uid);
      if (wish?.mark === "pass" && wish.reached) return;
      try {
        await this.#changes.next(signal);
      } catch {
        const failure = this.#wishes.get(claim.uid)?.failure;
        throw new Error(
          `containers that name ${describeClaim(claim)} cannot start yet: ` +
            (failure ?? "the agent has not allowed it yet"),
        );
      }
    }
  }

  /**
   * Resolves when the files of a claim say what was wanted last. Rejects with the file that cannot be
   * changed when the signal is aborted first.
   */
  async settled(claim: ClaimRef, signal: AbortSignal): Promise<void> {
    for (;;) {
      const wish = this.#wishes.get(claim.uid);
      if (!wish || wish.reached) return;
      try {
        await this.#changes.next(signal);
      } catch {
        const failure = wish.failure ?? "the disk has not answered";
        throw new Error(`cannot change the CDI files of ${describeClaim(claim)} yet: ${failure}`);
      }
    }
  }

  /** Removes the files of claims that are not among those named: left by an earlier run. */
  async removeOthers(claimUids: ReadonlySet<string>): Promise<void> {
    const { files, log } = this.#ports;
    for (const uid of await files.list()) {
      // A claim may have come into use meanwhile.
      if (claimUids.has(uid) || this.#wishes.has(uid)) continue;
      try {
        await files.refuseCreate(uid);
        await files.refuseStart(uid);
        log.info(`removed the CDI files of claim ${uid}, which no sandbox uses`);
      } catch (error) {
        // They are nobody's; whoever needs the agent must not wait for their end.
        const about = { error: errorMessage(error) };
        log.warn(`cannot remove the CDI files of claim ${uid}, which no sandbox uses`, about);
      }
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await Promise.all([...this.#wishes.values()].map(({ done }) => done));
  }

  async #carryOut(wish: Wish, before: Wish | undefined): Promise<void> {
    const { clock, log } = this.#ports;
    const { metadata: { claim }, mark } = wish;
    for (let failures = 1;; failures++) {
      // A later wish has replaced this one.
      if (this.#wishes.get(claim.uid) !== wish) return;
      try {
        await this.#apply(wish, before);
        wish.reached = true;
        if (mark === "none" && this.#wishes.get(claim.uid) === wish) {
          this.#wishes.delete(claim.uid);
        }
        this.#changes.notify();
        return;
      } catch (error) {
        wish.failure = errorMessage(error);
        log[failures === 1 ? "warn" : "debug"](
          `cannot bring the CDI files of ${describeClaim(claim)} in line yet`,
          { error: wish.failure },
        );
        try {
          await clock.sleep(pauseAfter(failures, RETRY), this.#stop.signal);
        } catch {
          return;
        }
      }
    }
  }

  /** In such an order that a death of the agent in between leaves containers waiting. */
  async #apply({ metadata, mark }: Wish, before: Wish | undefined): Promise<void> {
    const { files } = this.#ports;
    const { uid } = metadata.claim;
    switch (mark) {
      case "none":
        await files.refuseCreate(uid);
        return await files.refuseStart(uid);
      case "wait":
        await files.refuseStart(uid);
        return files.allowCreate(metadata);
      case "pass":
        // Containers wait for this one: what the runtime has read is not written again.
        if (!before?.reached || !["wait", "pass"].includes(before.mark)) {
          files.allowCreate(metadata);
        }
        return files.allowStart(metadata);
      case "noNewContainers":
        return await files.refuseCreate(uid);
    }
  }
}
