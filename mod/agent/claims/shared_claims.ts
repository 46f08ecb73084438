import { allocationResults, sameDevices } from "../../claim/allocation.ts";
import type { ClaimRef } from "../../claim/attachment.ts";
import { claimRef } from "../../claim/plan.ts";
import type { PodClaims } from "../../claim/pod_claims.ts";
import { reservationOf } from "../../claim/reservation.ts";
import { unlessAborted } from "../../async/aborted.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import { FreshReads } from "../../async/fresh_reads.ts";
import { type KeyedLock, NoTurnError } from "../../async/keyed_lock.ts";
import { Limiter } from "../../async/limiter.ts";
import type { ClaimRecord, PodRef, ResourceClaim, Sandbox } from "../model.ts";
import type { Cluster, Events, Log } from "../ports.ts";
import { describeClaim, describePod } from "../describe.ts";
import { DepartedClaims } from "./departed_claims.ts";
import { assertDevicesFree } from "./exclusive_devices.ts";
import type { ClaimStore } from "./store.ts";

const RETRY: Backoff = { first: 200, most: 10_000 };
/** Pods and claims that are read at once. */
const WIDTH = 8;
/** How long a look waits for the claim before it says so, in milliseconds. */
const TURN_LIMIT_MS = 5_000;

/** Sandboxes and pods that are remembered: a node has hundreds. */
const MOST_LOOKS = 4096;

/** What the search for shared claims needs outside mod/agent. */
export interface SharedClaimsPorts {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
}

/** What the search for shared claims shares with the rest of the agent. */
export interface SharedClaimsOptions {
  readonly driver: string;
  readonly claims: ClaimStore;
  /** Of claims, by UID. */
  readonly locks: KeyedLock;
  /** A claim was prepared again for a pod that may have gone since. */
  readonly maybeUnused: (claim: ClaimRef) => void;
}

/**
 * Finds out which claims a new sandbox's pod shares with pods that came before it.
 *
 * The kubelet prepares a claim once and says nothing when a second pod comes to use it. So where a
 * shareable claim is prepared in a pod's namespace, the pod is read, and of each such claim that it
 * names, `status.reservedFor`; containers wait until that is known. Pods elsewhere cost nothing, and
 * pods that come at once share the reads of a claim. Where a claim is reserved for a PodGroup, the pod
 * says whether it is one of its group (KEP-5729).
 */
export class SharedClaims {
  readonly #ports: SharedClaimsPorts;
  readonly #options: SharedClaimsOptions;
  readonly #looks = new Map<string, Look>();
  /** What the pods said that were read last, by the pod's UID: it never changes. */
  readonly #podClaims = new Map<string, PodClaims>();
  readonly #departed: DepartedClaims;
  readonly #limiter = new Limiter(WIDTH, undefined, "read");
  readonly #stop = new AbortController();
  readonly #reads: FreshReads<ClaimRecord | undefined>;

  constructor(ports: SharedClaimsPorts, options: SharedClaimsOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#departed = new DepartedClaims(ports.clock);
    this.#reads = new FreshReads({
      limiter: this.#limiter,
      locks: options.locks,
      turn: this.#turn(),
    });
  }

  /** Begins to look, once a sandbox; `found` is called for each claim that the pod turns out to share. */
  look(sandbox: Sandbox, found: (record: ClaimRecord) => void): void {
    if (this.#looks.has(sandbox.id)) return;
    const { pod } = sandbox;
    const candidate = this.#unclear(pod);
    if (!candidate) return;
    if (this.#looks.size >= MOST_LOOKS) {
      throw new Error(`${MOST_LOOKS} sandboxes may share claims already, and none has stopped`);
    }
    const stop = new AbortController();
    const look: Look = { stop, done: Promise.resolve(), waitsFor: describeClaim(candidate.claim) };
    look.done = this.#read(sandbox, look, found).finally(() => {
      if (stop.signal.aborted) this.#tellUnused(pod.namespace);
    });
    this.#looks.set(sandbox.id, look);
  }

  /**
   * Puts the pod on the record of each claim that it shares, before it has a sandbox.
   *
   * @throws Error when that cannot be told
   */
  async learn(pod: PodRef, signal: AbortSignal): Promise<void> {
    const { claims } = this.#options;
    if (claims.shareableIn(pod.namespace).every((each) => isFor(each, pod))) return;
    try {
      const among = () => claims.shareableIn(pod.namespace);
      await this.#compareAll(pod, { among, signal, found: () => {} });
    } catch (error) {
      throw new Error(
        `cannot tell which claims ${describePod(pod)} shares: ${errorMessage(error)}`,
      );
    }
  }

  /** Resolves when it is known which claims the sandbox's pod shares. */
  async known(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    const look = this.#looks.get(sandbox.id);
    if (!look) return;
    try {
      await unlessAborted(look.done, signal);
    } catch {
      throw new Error(
        `cannot tell yet whether ${describePod(sandbox.pod)} uses ${look.waitsFor}`,
      );
    }
  }

  /** The claim was unprepared and is not on record any more. */
  departed(record: ClaimRecord): void {
    this.#departed.add(record);
  }

  /** The sandbox has stopped. */
  stopped(sandboxId: string): void {
    this.#looks.get(sandboxId)?.stop.abort();
    this.#looks.delete(sandboxId);
  }

  /** Only these sandboxes live. */
  onlyLiving(sandboxIds: ReadonlySet<string>): void {
    for (const id of [...this.#looks.keys()]) if (!sandboxIds.has(id)) this.stopped(id);
  }

  close(): void {
    this.#stop.abort(new Error("the agent stops"));
    this.onlyLiving(new Set());
  }

  async #read(
    { pod }: Sandbox,
    look: Look,
    found: (record: ClaimRecord) => void,
  ): Promise<void> {
    const { signal } = look.stop;
    for (let failures = 1;; failures++) {
      try {
        const among = () => this.#candidates(pod.namespace);
        return await this.#compareAll(pod, { among, signal, found });
      } catch (error) {
        const candidates = this.#candidates(pod.namespace);
        if (signal.aborted || candidates.length === 0) return;
        // None of them expires while it may be what the pod waits for.
        for (const { claim } of candidates) this.#departed.recall(claim.uid);
        this.#tell(pod, look, error);
      }
      await this.#ports.clock.sleep(pauseAfter(failures, RETRY), signal).catch(() => {});
      if (signal.aborted) return;
    }
  }

  /** A sandbox has stopped of which a claim may have been taken up again. */
  #tellUnused(namespace: string): void {
    const { claims, maybeUnused } = this.#options;
    for (const { claim, unprepared } of claims.shareableIn(namespace)) {
      if (unprepared) maybeUnused(claim);
    }
  }

  /** Says what the pod's containers wait for: each cause once. */
  #tell(pod: PodRef, look: Look, error: unknown): void {
    const { log, events } = this.#ports;
    const [claim] = this.#candidates(pod.namespace).map((each) => describeClaim(each.claim));
    const cause = error instanceof NoTurnError
      ? "the kubelet is preparing or unpreparing it for another pod"
      : errorMessage(error);
    const waitsFor = cause.startsWith("claim ") ? cause : `${claim}: ${cause}`;
    const message = `cannot tell yet whether ${describePod(pod)} uses ${waitsFor}`;
    log[waitsFor === look.waitsFor ? "debug" : "warn"](message);
    if (waitsFor === look.waitsFor) return;
    look.waitsFor = waitsFor;
    events.warn({
      reason: "NetworkWaiting",
      message: `containers wait: ${message}`,
      about: { kind: "Pod", ...pod },
    });
  }

  /** Claims that pods of the namespace can share. */
  #candidates(namespace: string): ClaimRecord[] {
    const { claims } = this.#options;
    const departed = this.#departed.in(namespace).filter(({ claim }) => !claims.get(claim.uid));
    return [...claims.shareableIn(namespace), ...departed];
  }

  /** One of which it is not known whether the pod uses it. */
  #unclear(pod: PodRef): ClaimRecord | undefined {
    const { claims } = this.#options;
    return this.#candidates(pod.namespace).find((each) =>
      !isFor(each, pod) || !claims.get(each.claim.uid)
    );
  }

  async #compareAll(
    pod: PodRef,
    { among, signal, found }: {
      /** The claims that it may share: asked for when its own are known. */
      readonly among: () => readonly ClaimRecord[];
      readonly signal: AbortSignal;
      readonly found: (record: ClaimRecord) => void;
    },
  ): Promise<void> {
    const { names, group } = await this.#claimsOf(pod, signal);
    // Those among them on whose record others' reads have put the pod meanwhile.
    const named = among().filter(({ claim }) => names.includes(claim.name));
    await Promise.all(named.map(async ({ claim }) => {
      const record = await this.#recordFor(claim, { pod, group, signal });
      if (!signal.aborted && record && isFor(record, pod)) found(record);
    }));
  }

  async #claimsOf(pod: PodRef, signal: AbortSignal): Promise<PodClaims> {
    const known = this.#podClaims.get(pod.uid);
    if (known) return known;
    const read = await this.#limiter.run(
      () => this.#ports.cluster.getPodClaims(pod, signal),
      { signal },
    );
    this.#podClaims.set(pod.uid, read);
    const [oldest] = this.#podClaims.keys();
    if (this.#podClaims.size > MOST_LOOKS) this.#podClaims.delete(oldest!);
    return read;
  }

  /** The claim's record, with the pod on it where the claim is reserved for it or for its group. */
  async #recordFor(
    claim: ClaimRef,
    { pod, group, signal }: {
      readonly pod: PodRef;
      readonly group: string | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<ClaimRecord | undefined> {
    const known = this.#options.claims.get(claim.uid);
    if (known && isFor(known, pod)) return known;
    const record = await this.#reads.read(claim.uid, () => this.#update(claim, signal), signal);
    if (!record || isFor(record, pod)) return record;
    const isOfGroup = record.groups?.some((name) => name === group) ?? false;
    return isOfGroup ? await this.#addPod(claim.uid, pod) : record;
  }

  /**
   * Takes up what the API server says of the pods that use a claim. Runs under the claim's lock.
   *
   * @param asked is aborted when the first who asked for it does not want it any more
   */
  async #update(claim: ClaimRef, asked: AbortSignal): Promise<ClaimRecord | undefined> {
    const { claims } = this.#options;
    const current = await this.#ports.cluster.getClaim(claim, this.#stop.signal);
    const record = claims.get(claim.uid);
    // Another one may have been made by its name.
    if (!current || claimRef(current).uid !== claim.uid) return undefined;
    if (!record) return await this.#takeBack(claim, { current, asked });
    const { pods, groups } = reservationOf(current);
    const known = new Set(record.pods.map(({ uid }) => uid));
    const isNews = pods.some(({ uid }) => !known.has(uid)) ||
      groups.some((name) => !record.groups?.includes(name));
    if (isNews) {
      const reserved = new Set(pods.map(({ uid }) => uid));
      // Those of a group are nowhere else.
      const ofGroups = groups.length > 0 ? record.pods.filter(({ uid }) => !reserved.has(uid)) : [];
      await claims.put({
        ...record,
        pods: [...pods, ...ofGroups],
        ...(groups.length > 0 && { groups }),
      });
    }
    return claims.get(claim.uid);
  }

  /** A pod of one of its groups has come. */
  #addPod(claimUid: string, { name, uid }: PodRef): Promise<ClaimRecord | undefined> {
    const { claims, locks } = this.#options;
    return locks.run([claimUid], async () => {
      const record = claims.get(claimUid);
      if (record && !record.pods.some((pod) => pod.uid === uid)) {
        await claims.put({ ...record, pods: [...record.pods, { name, uid }] });
      }
      return claims.get(claimUid);
    }, this.#turn());
  }

  /**
   * A pod has come that uses a claim which the kubelet has unprepared meanwhile: it gets its network
   * all the same, and the claim goes with it.
   *
   * @throws Error when it cannot get that
   */
  async #takeBack(
    claim: ClaimRef,
    { current, asked }: { readonly current: ResourceClaim; readonly asked: AbortSignal },
  ): Promise<ClaimRecord | undefined> {
    const { claims, driver } = this.#options;
    const departed = this.#departed.recall(claim.uid);
    if (!departed) return undefined;
    // Others who wait for it ask again.
    asked.throwIfAborted();
    if (!sameDevices(departed.attachments, allocationResults(current, driver))) {
      throw new Error(
        `${
          describeClaim(claim)
        }: the kubelet has unprepared it and must prepare it again, because it ` +
          "has other devices now: delete the pod if that does not happen",
      );
    }
    const { pods, groups } = reservationOf(current);
    const { groups: _, ...rest } = departed;
    const record: ClaimRecord = {
      ...rest,
      pods,
      ...(groups.length > 0 && { groups }),
      unprepared: true,
    };
    assertDevicesFree(record, claims);
    await claims.put(record);
    this.#departed.delete(claim.uid);
    if (asked.aborted) this.#options.maybeUnused(claim);
    this.#ports.log.warn(
      `${describeClaim(claim)} was unprepared while a pod began to use it: preparing it again`,
    );
    return record;
  }

  #turn() {
    return { signal: this.#stop.signal, limitMs: TURN_LIMIT_MS };
  }
}

function isFor({ pods }: Pick<ClaimRecord, "pods">, { uid }: PodRef): boolean {
  return pods.some((pod) => pod.uid === uid);
}

interface Look {
  readonly stop: AbortController;
  done: Promise<void>;
  /** What it waits for, in words. */
  waitsFor: string;
}
