import type { ClaimRef } from "../claim/attachment.ts";
import { type Backoff, pauseAfter } from "./backoff.ts";
import type { CdiFiles, Clock, Log } from "./ports.ts";
import { describeClaim, messageOf } from "./words.ts";

const RETRY: Backoff = { first: 100, most: 10_000 };

/**
 * Brings the CDI spec file of each claim to what is wanted: there while a sandbox that uses the
 * claim lives. Without it no container that names the claim is created, with or without the agent.
 */
export class CdiMarks {
  readonly #ports: { readonly files: CdiFiles; readonly clock: Clock; readonly log: Log };
  readonly #stop = new AbortController();
  readonly #wanted = new Map<string, { claim: ClaimRef; there: boolean; done: Promise<void> }>();

  constructor(ports: { readonly files: CdiFiles; readonly clock: Clock; readonly log: Log }) {
    this.#ports = ports;
  }

  /** Returns a promise of the file being there, or not; nobody needs to wait for it. */
  set(claim: ClaimRef, there: boolean): Promise<void> {
    const before = this.#wanted.get(claim.uid);
    if (before?.there === there) return before.done;
    const mark = { claim, there, done: Promise.resolve() };
    mark.done = (before?.done ?? Promise.resolve()).then(() => this.#bring(mark));
    this.#wanted.set(claim.uid, mark);
    return mark.done;
  }

  /** Removes the files of claims that are not among those named: left by an earlier run. */
  async removeOthers(claimUids: ReadonlySet<string>): Promise<void> {
    const { files, log } = this.#ports;
    for (const uid of await files.list()) {
      if (claimUids.has(uid)) continue;
      await files.remove(uid);
      log.info(`removed the CDI file of claim ${uid}, which no sandbox uses`);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await Promise.all([...this.#wanted.values()].map(({ done }) => done));
  }

  async #bring(mark: { readonly claim: ClaimRef; readonly there: boolean }): Promise<void> {
    const { files, clock, log } = this.#ports;
    for (let failures = 1;; failures++) {
      // A later wish has replaced this one.
      const latest = this.#wanted.get(mark.claim.uid) === mark;
      if (!latest) return;
      try {
        await (mark.there ? files.write(mark.claim) : files.remove(mark.claim.uid));
        const unchanged = this.#wanted.get(mark.claim.uid) === mark;
        if (!mark.there && unchanged) this.#wanted.delete(mark.claim.uid);
        return;
      } catch (error) {
        const verb = mark.there ? "write" : "remove";
        log[failures === 1 ? "warn" : "debug"](
          `cannot ${verb} the CDI file of ${describeClaim(mark.claim)} yet`,
          { error: messageOf(error) },
        );
        try {
          await clock.sleep(pauseAfter(failures, RETRY), this.#stop.signal);
        } catch {
          return;
        }
      }
    }
  }
}
