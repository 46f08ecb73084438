import type { ClaimRef } from "../../claim/attachment.ts";
import type { StatusWriter } from "../status/status_writer.ts";
import type { KeyedLock } from "../../async/keyed_lock.ts";
import type { Clock } from "../../async/clock.ts";
import type { Log, Metrics } from "../ports.ts";
import type { ClaimStore } from "./store.ts";
import type { PodAttachments } from "../attachments/pod_attachments.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { describeAttachment, describeClaim, describePod } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/** Unprepare answers before the kubelet's 45 s are over, so that its answer says what it waits for. */
const UNPREPARE_LIMIT = 40_000;

export interface ClaimReleasePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "unprepared" | "forgotten">;
}

export interface ClaimReleaseOptions {
  readonly claims: ClaimStore;
  readonly sandboxes: Sandboxes;
  readonly statuses: StatusWriter;
  /** Of claims, by UID. */
  readonly locks: KeyedLock;
  /** Brings a claim's CDI files in line. */
  readonly mark: (claim: ClaimRef) => Promise<void>;
  /** A claim is on record no more. */
  readonly released: (claimUid: string) => void;
}

/** NodeUnprepareResources, and what takes its place: claims go once nothing of them is attached. */
export class ClaimRelease {
  readonly #ports: ClaimReleasePorts;
  readonly #options: ClaimReleaseOptions;

  constructor(ports: ClaimReleasePorts, options: ClaimReleaseOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /** Waits for the DELs, then forgets the claims. One error or none a claim. */
  unprepare(
    refs: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<Map<string, { error?: string }>> {
    return this.#options.locks.run(refs.map(({ uid }) => uid), async () => {
      const answers = refs.map(async (ref): Promise<[string, { error?: string }]> => {
        try {
          await this.#release(ref, signal);
          this.#ports.metrics.unprepared("ok");
          return [ref.uid, {}];
        } catch (error) {
          this.#ports.metrics.unprepared("error");
          this.#ports.log.warn(`cannot unprepare ${describeClaim(ref)} yet`, {
            error: errorMessage(error),
          });
          return [ref.uid, { error: errorMessage(error) }];
        }
      });
      return new Map(await Promise.all(answers));
    });
  }

  /**
   * An administrator wants a claim let go that cannot be detached, whatever is left of it then.
   *
   * @param name its UID, or `namespace/name`
   * @returns what was done, in words
   * @throws Error when it is not known, or in use
   */
  async forget(name: string, signal: AbortSignal): Promise<string> {
    const claim = this.#claimNamed(name);
    const what = `${describeClaim(claim)} (UID ${claim.uid})`;
    const networks = this.#options.sandboxes.withClaim(claim.uid);
    const user = networks.find((network) =>
      !network.stopped && network.of(claim.uid).some(({ wanted }) => wanted)
    );
    if (user) {
      throw new Error(
        `${what} is in use by ${describePod(user.sandbox.pod)}: delete the pod first`,
      );
    }
    const left: string[] = [];
    for (const network of networks) {
      network.giveUp(claim.uid, "asked", (message) => left.push(message));
    }
    // Whoever waits for its DELs has the lock, and gives it back as soon as they are given up.
    await this.#options.locks.run([claim.uid], () => this.#release(claim, signal));
    return [`forgot ${what}`, ...left].join("\n");
  }

  /** The API server has the claim no more. */
  releaseStale(claim: ClaimRef, signal: AbortSignal): Promise<void> {
    return this.#options.locks.run([claim.uid], async () => {
      if (!this.#options.claims.get(claim.uid) || this.#options.sandboxes.inUse(claim.uid)) return;
      this.#ports.log.warn(
        `${describeClaim(claim)} (UID ${claim.uid}) is gone from the API server: releasing it`,
      );
      await this.#release(claim, signal);
      this.#ports.metrics.forgotten("claim_gone");
    });
  }

  async #release(ref: ClaimRef, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const timer = new AbortController();
    const limit = this.#ports.clock.sleep(UNPREPARE_LIMIT, timer.signal);
    limit.then(() => over.abort(), () => {});
    const until = AbortSignal.any([signal, over.signal]);
    const networks = this.#options.sandboxes.withClaim(ref.uid);
    for (const network of networks) network.release(ref.uid);
    void this.#options.mark(ref);
    try {
      await Promise.all(networks.map((network) => network.released(ref.uid, until)));
    } catch (error) {
      if (!until.aborted) throw error;
      throw new Error(stillAttached(ref, networks));
    } finally {
      timer.abort();
    }
    this.#options.statuses.forget(ref.uid);
    await this.#options.mark(ref);
    await this.#options.claims.remove(ref.uid);
    this.#options.released(ref.uid);
    this.#ports.log.info(`unprepared ${describeClaim(ref)}`);
  }

  #claimNamed(name: string): ClaimRef {
    const entries = this.#options.sandboxes.all().flatMap((network) => network.entries);
    const found = new Map<string, ClaimRef>();
    for (const { claim } of [...this.#options.claims.all(), ...entries]) {
      if (name === claim.uid || name === `${claim.namespace}/${claim.name}`) {
        found.set(claim.uid, claim);
      }
    }
    const [claim, ...others] = found.values();
    if (!claim) throw new Error(`no claim ${JSON.stringify(name)} is known on this node`);
    if (others.length === 0) return claim;
    const uids = [...found.keys()].join(", ");
    throw new Error(`several claims had the name ${name} one after the other; say which: ${uids}`);
  }
}

function stillAttached(ref: ClaimRef, networks: readonly PodAttachments[]): string {
  const left = networks.flatMap(({ entries }) => entries).find(({ claim }) =>
    claim.uid === ref.uid
  );
  if (!left) return `${describeClaim(ref)} is still being released`;
  const cause = left.failure?.error.message ?? "its DEL has not come to an end";
  return `${describeAttachment(left)} is still attached: ${cause}`;
}
