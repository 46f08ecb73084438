import type { ClaimRef } from "../../claim/attachment.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { KeyedLock } from "../../async/keyed_lock.ts";
import { timeLimit } from "../../async/time_limit.ts";
import type { ClaimAccess } from "../admission/claim_access.ts";
import type { ContainerAdmission } from "../admission/container_admission.ts";
import type { PodAttachments } from "../attachments/pod_attachments.ts";
import type { ClaimChanges } from "../attachments/claim_changes.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { describeAttachment, describeClaim, describePod } from "../describe.ts";
import type { ClaimRecord } from "../model.ts";
import type { Events, Log, Metrics } from "../ports.ts";
import type { StatusWriter } from "../status/status_writer.ts";
import { underClaimLock } from "./claim_lock.ts";
import type { ClaimStore } from "./store.ts";

/**
 * Unprepare answers before the kubelet's 45 s are over, so that the answer can say what it is
 * waiting for.
 */
const UNPREPARE_LIMIT_MS = 40_000;

/** The pauses between attempts to release a claim without a call of the kubelet. */
const RETRY: Backoff = { first: 1_000, most: 60_000 };

/** What the release of claims needs outside mod/agent. */
export interface ClaimReleasePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly metrics: Pick<Metrics, "unprepared" | "forgotten">;
}

/** What the release of claims shares with the rest of the agent. */
export interface ClaimReleaseOptions {
  readonly claims: ClaimStore;
  readonly sandboxes: Sandboxes;
  readonly statuses: StatusWriter;
  readonly admission: Pick<ContainerAdmission, "settled">;
  readonly access: Pick<ClaimAccess, "withdraw">;
  /** Of claims, by UID. */
  readonly locks: KeyedLock;
  /** Treats sandboxes of the claim as stopped if the runtime did not report their end. */
  readonly stopGone: (claimUid: string) => void;
  /** Updates a claim's CDI files. Returns at once. */
  readonly changes: ClaimChanges;
  /** A claim is no longer on record; `record`: its last record, if there was one. */
  readonly released: (claim: ClaimRef, record: ClaimRecord | undefined) => void;
}

/**
 * NodeUnprepareResources and its substitutes: claims are released once nothing of them is attached.
 */
export class ClaimRelease {
  readonly #ports: ClaimReleasePorts;
  readonly #options: ClaimReleaseOptions;
  readonly #stop = new AbortController();
  /** The claims that are released without a call of the kubelet, by UID. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(ports: ClaimReleasePorts, options: ClaimReleaseOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /** Waits for the DELs, then forgets the claims. At most one error for each claim. */
  async unprepare(
    refs: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<Map<string, { error?: string }>> {
    const answers = refs.map(async (ref): Promise<[string, { error?: string }]> => {
      try {
        await this.#locked(ref, signal, (until) => this.#release(ref, until));
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
  }

  /**
   * An administrator asks to forget a claim that cannot be detached, whatever is left of it then.
   *
   * @param name its UID, or `namespace/name`
   * @returns what was done, in words
   * @throws Error if it is unknown, or in use
   */
  async forget(name: string, signal: AbortSignal): Promise<string> {
    const claim = this.#claimNamed(name);
    const what = `${describeClaim(claim)} (UID ${claim.uid})`;
    const [user] = this.#users(claim.uid);
    if (user) {
      throw new Error(
        `${what} is in use by ${describePod(user.sandbox.pod)}: delete the pod first`,
      );
    }
    const left: string[] = [];
    for (const network of this.#options.sandboxes.withClaim(claim.uid)) {
      network.giveUp(claim.uid, "asked", (message) => left.push(message));
    }
    // The call that waits for its DELs holds the lock, and releases it as soon as they are given
    // up.
    await this.#locked(claim, signal, (until) => this.#release(claim, until));
    return [`forgot ${what}`, ...left].join("\n");
  }

  /**
   * The API server no longer has the claim, or has it allocated to another node.
   *
   * @param why in words, as in `claim default/a is gone from the API server`
   */
  releaseStale(record: ClaimRecord, why: string, signal: AbortSignal): Promise<void> {
    const { claim } = record;
    return this.#locked(claim, signal, async (until) => {
      // It may have come into use, or have been prepared again.
      const { claims, sandboxes } = this.#options;
      if (claims.get(claim.uid) !== record || sandboxes.inUse(claim.uid)) return;
      this.#ports.log.warn(`${describeClaim(claim)} (UID ${claim.uid}) ${why}: releasing it`);
      await this.#release(claim, until);
      this.#ports.metrics.forgotten("claim_gone");
    });
  }

  /**
   * Releases those of the claims that the kubelet has unprepared while a pod used them and that no
   * pod uses any more, because the kubelet may not call again. Returns at once, and retries until
   * it succeeds.
   */
  releaseUnused(claims: readonly ClaimRef[]): void {
    for (const { uid } of claims) {
      if (!this.#isUnused(uid) || this.#leaving.has(uid) || this.#stop.signal.aborted) continue;
      const leaving = this.#keepReleasing(uid).finally(() => {
        this.#leaving.delete(uid);
        // A pod may have started and ended since the last check.
        const claim = this.#options.claims.get(uid)?.claim;
        if (claim) this.releaseUnused([claim]);
      });
      this.#leaving.set(uid, leaving);
    }
  }

  /** Stops the releases that the kubelet did not ask for. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the agent stops"));
    await Promise.all(this.#leaving.values());
  }

  #isUnused(claimUid: string): boolean {
    return this.#options.claims.get(claimUid)?.unprepared === true &&
      this.#users(claimUid).length === 0;
  }

  async #keepReleasing(claimUid: string): Promise<void> {
    const { clock, log } = this.#ports;
    const { signal } = this.#stop;
    for (let failures = 1; this.#isUnused(claimUid) && !signal.aborted; failures++) {
      const { claim } = this.#options.claims.get(claimUid)!;
      try {
        await this.#locked(claim, signal, async (until) => {
          if (this.#isUnused(claimUid)) await this.#release(claim, until);
        });
      } catch (error) {
        log[failures === 1 ? "warn" : "debug"](`cannot release ${describeClaim(claim)} yet`, {
          error: errorMessage(error),
        });
        await clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
      }
    }
  }

  /** Runs under the claim's lock, and all of it within the limit. */
  async #locked<T>(
    claim: ClaimRef,
    signal: AbortSignal,
    task: (until: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#ports;
    using limit = timeLimit(clock, UNPREPARE_LIMIT_MS, signal);
    const turn = { ...claim, clock, signal: limit.signal, limitMs: UNPREPARE_LIMIT_MS };
    return await underClaimLock(this.#options.locks, turn, () => task(limit.signal));
  }

  async #release(ref: ClaimRef, until: AbortSignal): Promise<void> {
    const { claims, statuses, admission, access, changes, stopGone } = this.#options;
    stopGone(ref.uid);
    changes.publish(ref);
    // A pod that used it may end meanwhile.
    for (let leaving; (leaving = this.#leavingOf(ref.uid)).length > 0;) {
      for (const network of leaving) network.release(ref.uid);
      changes.publish(ref);
      try {
        await Promise.all(leaving.map((network) => network.released(ref.uid, until)));
      } catch (error) {
        if (!until.aborted) throw error;
        throw new Error(stillAttached(ref, leaving));
      }
    }
    const record = claims.get(ref.uid);
    if (record && await this.#keep(record)) return;
    statuses.finish(ref.uid);
    access.withdraw(ref);
    await admission.settled(ref, until);
    if (record && await this.#keep(record)) return;
    await claims.remove(ref.uid);
    // A pod that came while the disk was busy finds the claim on record as before.
    if (record && await this.#keep(record)) return;
    this.#options.released(ref, record);
    // The runtime may have listed its sandboxes meanwhile.
    access.withdraw(ref);
    this.#ports.log.info(`unprepared ${describeClaim(ref)}`);
  }

  /** The sandboxes that have something of the claim, and do not keep it. */
  #leavingOf(claimUid: string): PodAttachments[] {
    const { claims, sandboxes } = this.#options;
    // For a claim that was created for one pod, the kubelet's call means that the pod has ended.
    const kept = claims.get(claimUid)?.shareable === false ? [] : this.#users(claimUid);
    return sandboxes.withClaim(claimUid).filter((network) =>
      !kept.includes(network) && network.of(claimUid).length > 0
    );
  }

  /** Keeps the claim for as long as pods use it, and says so. False when none does. */
  async #keep(record: ClaimRecord): Promise<boolean> {
    const { claim } = record;
    const { claims } = this.#options;
    const users = this.#users(claim.uid);
    if (users.length === 0) return false;
    if (claims.get(claim.uid)?.unprepared) return true;
    await claims.put({ ...record, unprepared: true });
    const pods = users.map(({ sandbox: { pod } }) => describePod(pod)).join(", ");
    const message = `the kubelet has unprepared ${describeClaim(claim)} while ${pods} uses it: ` +
      "its networks stay until the pod ends (kubelets from before July 2026 do this when another " +
      "pod that names the claim is deleted; they cannot create containers that name it after that)";
    this.#ports.log.warn(message);
    const about = [
      { kind: "ResourceClaim", ...claim } as const,
      ...users.map(({ sandbox: { pod } }) => ({ kind: "Pod", ...pod }) as const),
    ];
    for (const each of about) {
      this.#ports.events.warn({ reason: "NetworkKept", message, about: each });
    }
    return true;
  }

  /**
   * The living sandboxes that should have something of the claim. Those on the host's network get
   * nothing, so that a claim that is kept for them would be kept for nothing; and without a network
   * namespace, nothing shows that a sandbox is gone whose end the runtime did not report.
   */
  #users(claimUid: string): PodAttachments[] {
    return this.#options.sandboxes.withClaim(claimUid).filter((network) =>
      !network.stopped && network.sandbox.netns !== undefined &&
      network.of(claimUid).some(({ wanted }) => wanted)
    );
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
    throw new Error(`several claims have had the name ${name}; give the UID of one: ${uids}`);
  }
}

function stillAttached(ref: ClaimRef, networks: readonly PodAttachments[]): string {
  const left = networks.flatMap(({ entries }) => entries).find(({ claim }) =>
    claim.uid === ref.uid
  );
  if (!left) return `${describeClaim(ref)} is still being released`;
  const cause = left.failure?.error.message ?? "its DEL has not finished";
  return `${describeAttachment(left)} is still attached: ${cause}`;
}
