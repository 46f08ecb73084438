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
 * What happens to containers that name a claim, with or without the agent:
 * - none: they are not created;
 * - wait: they are created, for the runtime asks the agent only then, and do not start;
 * - pass: they are created, and start;
 * - noNewContainers: none is created; those that were created before are not affected.
 */
export type Mark = "none" | "wait" | "pass" | "noNewContainers";

interface Wish {
  readonly metadata: ClaimMetadata;
  readonly mark: Mark;
  /** The claim's description. */
  readonly what: string;
  done: Promise<void>;
  /** Whether the files match the wish. */
  reached: boolean;
  /** Why they do not match yet. */
  failure?: string;
}

/** Brings the CDI files of each claim to the desired state. */
export class ContainerAdmission {
  readonly #ports: { readonly files: CdiFiles; readonly clock: Clock; readonly log: Log };
  readonly #stop = new AbortController();
  readonly #wishes = new Map<string, Wish>();
  readonly #changes = new Notifier();

  constructor(ports: { readonly files: CdiFiles; readonly clock: Clock; readonly log: Log }) {
    this.#ports = ports;
  }

  /**
   * Resolves when the files match this wish or a later one; callers need not wait for it.
   *
   * @param metadataOf called only where the files depend on it: it goes through all pods of the claim
   */
  set(claim: ClaimRef, mark: Mark, metadataOf: () => ClaimMetadata): Promise<void> {
    const before = this.#wishes.get(claim.uid);
    if (before?.mark === mark && mark !== "pass") return before.done;
    const metadata = metadataOf();
    if (before?.mark === mark && isDeepStrictEqual(before.metadata, metadata)) return before.done;
    return this.#wish({ metadata, mark, what: describeClaim(claim) }).done;
  }

  #wish(wished: Pick<Wish, "metadata" | "mark" | "what">): Wish {
    const { uid } = wished.metadata.claim;
    const before = this.#wishes.get(uid);
    const wish: Wish = { ...wished, done: Promise.resolve(), reached: false };
    wish.done = (before?.done ?? Promise.resolve()).then(() => this.#carryOut(wish, before));
    this.#wishes.set(uid, wish);
    this.#changes.notify();
    return wish;
  }

  /**
   * Resolves when containers that name the claim can start. Rejects if they still cannot when the
   * signal is aborted, and names the file if it could not be written.
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
   * Resolves when the files of a claim match the last wish. Rejects with the file that cannot be
   * changed if the signal is aborted first.
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

  /**
   * Removes the files of claims that are not among those named: left by an earlier run. Callers
   * need not wait for this.
   */
  async removeOthers(claimUids: ReadonlySet<string>): Promise<void> {
    const { files, log } = this.#ports;
    for (const uid of await files.list()) {
      // A claim may have come into use meanwhile.
      if (claimUids.has(uid) || this.#wishes.has(uid)) continue;
      // Nothing tells its name any more.
      const metadata = { claim: { namespace: "", name: "", uid }, devices: [] };
      const what = `claim ${uid}, which is not prepared`;
      const wish = this.#wish({ metadata, what, mark: "none" });
      void wish.done.then(() => {
        if (wish.reached) log.info(`removed the CDI files of claim ${uid}, which is not prepared`);
      });
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
          `cannot yet update the CDI files of ${wish.what}`,
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

  /** Ordered so that if the agent dies in between, containers wait. */
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
        // Containers wait for this file; a file that the runtime has already read is not written
        // again.
        if (!before?.reached || !["wait", "pass"].includes(before.mark)) {
          files.allowCreate(metadata);
        }
        return files.allowStart(metadata);
      case "noNewContainers":
        return await files.refuseCreate(uid);
    }
  }
}
