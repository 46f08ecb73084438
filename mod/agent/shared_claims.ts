import { type Backoff, pauseAfter } from "./backoff.ts";
import type { ClaimRecord, Clock, Cluster, Log, Sandbox } from "./ports.ts";
import type { PreparedClaims } from "./prepared_claims.ts";
import { describeClaim, describePod, messageOf } from "./words.ts";
import { podsOf } from "../claim/plan.ts";

const RETRY: Backoff = { first: 200, most: 10_000 };

/** Sandboxes that are remembered: a node has hundreds of pods. */
const MOST_LOOKS = 4096;

/**
 * Finds out which claims a new sandbox's pod shares with pods that came before it.
 *
 * The kubelet prepares a claim once and says nothing when a second pod comes to use it. So for a
 * pod in whose namespace a shareable claim is prepared, that claim's `status.reservedFor` is read
 * again; containers wait until it has been. Pods elsewhere cost nothing.
 */
export class SharedClaims {
  readonly #ports: { readonly cluster: Cluster; readonly clock: Clock; readonly log: Log };
  readonly #claims: PreparedClaims;
  readonly #looks = new Map<string, Look>();

  constructor(
    ports: { readonly cluster: Cluster; readonly clock: Clock; readonly log: Log },
    claims: PreparedClaims,
  ) {
    this.#ports = ports;
    this.#claims = claims;
  }

  /** Begins to look, once a sandbox; `found` is called for each claim that the pod turns out to share. */
  look(sandbox: Sandbox, found: (record: ClaimRecord) => void): void {
    if (this.#looks.has(sandbox.id)) return;
    const candidates = this.#claims.maybeSharedWith(sandbox.pod);
    if (candidates.length === 0) return;
    if (this.#looks.size >= MOST_LOOKS) {
      throw new Error(`${MOST_LOOKS} sandboxes may share claims already, and none has stopped`);
    }
    const stop = new AbortController();
    const look: Look = { stop, done: Promise.resolve(), waitsFor: undefined };
    look.done = this.#read(sandbox, { candidates, look, found });
    this.#looks.set(sandbox.id, look);
  }

  /** Resolves when it is known which claims the sandbox's pod shares. */
  async known(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    const look = this.#looks.get(sandbox.id);
    if (!look) return;
    let abort = () => {};
    const aborted = new Promise<"aborted">((resolve) => {
      abort = () => resolve("aborted");
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
    });
    const outcome = await Promise.race([look.done, aborted]);
    signal.removeEventListener("abort", abort);
    if (outcome === "aborted") {
      throw new Error(
        `cannot tell yet whether ${describePod(sandbox.pod)} uses ${look.waitsFor ?? "a claim"}`,
      );
    }
  }

  forget(sandboxId: string): void {
    this.#looks.get(sandboxId)?.stop.abort();
    this.#looks.delete(sandboxId);
  }

  close(): void {
    for (const id of [...this.#looks.keys()]) this.forget(id);
  }

  async #read(
    { pod }: Sandbox,
    { candidates, look, found }: {
      readonly candidates: readonly ClaimRecord[];
      readonly look: Look;
      readonly found: (record: ClaimRecord) => void;
    },
  ): Promise<void> {
    for (const { claim } of candidates) {
      for (let failures = 1;; failures++) {
        try {
          look.waitsFor = describeClaim(claim);
          const current = await this.#ports.cluster.getClaim(claim, look.stop.signal);
          const record = this.#claims.get(claim.uid);
          if (!record || !current) break;
          const pods = podsOf(current);
          // Only what adds to the record is taken up: one that names fewer pods may be another claim.
          if (!pods.some(({ uid }) => uid === pod.uid)) break;
          await this.#claims.put({ ...record, pods });
          found({ ...record, pods });
          break;
        } catch (error) {
          if (look.stop.signal.aborted) return;
          look.waitsFor = `${describeClaim(claim)}: ${messageOf(error)}`;
          this.#ports.log[failures === 1 ? "warn" : "debug"](
            `cannot tell yet whether ${describePod(pod)} uses ${describeClaim(claim)}`,
            { error: messageOf(error) },
          );
          try {
            await this.#ports.clock.sleep(pauseAfter(failures, RETRY), look.stop.signal);
          } catch {
            return;
          }
        }
      }
    }
  }
}

interface Look {
  readonly stop: AbortController;
  done: Promise<void>;
  /** What it waits for, in words. */
  waitsFor: string | undefined;
}
