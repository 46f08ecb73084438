import { allocationResults, sameDevices } from "../../claim/allocation.ts";
import type { ClaimRef } from "../../claim/attachment.ts";
import { claimRef } from "../../claim/plan.ts";
import type { PodClaims } from "../../claim/pod_claims.ts";
import { reservationOf } from "../../claim/reservation.ts";
import { NOT_NEEDED, unlessAborted } from "../../async/aborted.ts";
import { type Backoff, pauseAfter } from "../../async/backoff.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import { FreshReads } from "../../async/fresh_reads.ts";
import { type KeyedLock, NoTurnError } from "../../async/keyed_lock.ts";
import { Limiter } from "../../async/limiter.ts";
import type { ClaimRecord, PodRef, ResourceClaim, Sandbox } from "../model.ts";
import type { Cluster, Events, Journal, Log } from "../ports.ts";
import { describeClaim, describePod } from "../describe.ts";
import { DepartedClaims } from "./departed_claims.ts";
import { assertDevicesFree } from "./exclusive_devices.ts";
import { type ClaimPlanner, nameInterfaces } from "./planner.ts";
import type { ClaimStore } from "./store.ts";

const RETRY: Backoff = { first: 200, most: 10_000 };
/** Pods and claims that are read at once. */
const WIDTH = 8;
/** How long a look-up waits for the claim before it reports this, in milliseconds. */
const TURN_LIMIT_MS = 5_000;

/** Sandboxes and pods that are remembered: a node has hundreds. */
const MOST_LOOKS = 4096;

/** A claim that a pod may turn out to use. */
type Candidate = Pick<ClaimRecord, "claim" | "pods">;

/** What the search for shared claims needs from outside mod/agent. */
export interface SharedClaimsPorts {
  readonly cluster: Cluster;
  readonly journal: Pick<Journal, "forgetDeparted">;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
}

/** What the search for shared claims shares with the rest of the agent. */
export interface SharedClaimsOptions {
  readonly driver: string;
  readonly claims: ClaimStore;
  readonly planner: ClaimPlanner;
  /** Of claims, by UID. */
  readonly locks: KeyedLock;
  /** Whether a sandbox has something of it, even if it is being detached. */
  readonly isUsed: (claim: ClaimRef) => boolean;
  /** A claim was prepared again for a pod that may be gone by now. */
  readonly maybeUnused: (claim: ClaimRef) => void;
}

/**
 * Finds out which claims a new sandbox's pod shares with pods that came before it.
 *
 * The kubelet prepares a claim once and does not report a second pod that starts to use it. So if a
 * shareable claim is prepared in a pod's namespace, the agent reads the pod and
 * `status.reservedFor` of each such claim that it names; containers wait until this is done. Pods
 * in other namespaces cost nothing, and pods that start at the same time share the reads of a
 * claim. If a claim is reserved for a PodGroup, the pod tells whether it belongs to the group
 * (KEP-5729).
 */
export class SharedClaims {
  readonly #ports: SharedClaimsPorts;
  readonly #options: SharedClaimsOptions;
  readonly #looks = new Map<string, Look>();
  /** The claims of the pods that were read last, by the pod's UID: they never change. */
  readonly #podClaims = new Map<string, PodClaims>();
  readonly #departed: DepartedClaims;
  /** Claims whose records are lost, by UID, and whether the kubelet has unprepared them since. */
  readonly #lost = new Map<string, { readonly claim: ClaimRef; unprepared: boolean }>();
  readonly #limiter = new Limiter(WIDTH, undefined, "read");
  readonly #stop = new AbortController();
  readonly #reads: FreshReads<ClaimRecord | undefined>;

  constructor(ports: SharedClaimsPorts, options: SharedClaimsOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#departed = new DepartedClaims(ports);
    this.#reads = new FreshReads({
      limiter: this.#limiter,
      locks: options.locks,
      turn: this.#turn(),
    });
  }

  /**
   * Starts the search, once for each sandbox; `found` is called for each claim that the pod shares.
   */
  look(sandbox: Sandbox, found: (record: ClaimRecord) => void): void {
    if (this.#looks.has(sandbox.id)) return;
    const { pod } = sandbox;
    const candidate = this.#unclear(pod);
    if (!candidate) return;
    if (this.#looks.size >= MOST_LOOKS) {
      throw new Error(`${MOST_LOOKS} sandboxes may share claims already, and none has stopped`);
    }
    const stop = new AbortController();
    const look: Look = {
      namespace: pod.namespace,
      stop,
      done: Promise.resolve(),
      isOver: false,
      waitsFor: describeClaim(candidate.claim),
    };
    look.done = this.#read(sandbox, look, found).finally(() => {
      look.isOver = true;
      // What it took up, another pod may be about to use.
      if (stop.signal.aborted || this.#areOver(pod.namespace)) this.#tellUnused(pod.namespace);
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

  /** The claim was unprepared and is no longer on record, if it ever was. */
  departed({ uid }: ClaimRef, record: ClaimRecord | undefined): void {
    const lost = this.#lost.get(uid);
    if (lost) lost.unprepared = true;
    if (record) this.#departed.add(record);
  }

  /** Forgets claims that were unprepared long ago. */
  expire(): void {
    this.#departed.expire();
  }

  /**
   * The claim was in use, and its record is lost: the kubelet, which prepares a claim once, does
   * not report when a pod starts to use it.
   */
  lost(claim: ClaimRef): void {
    this.#lost.set(claim.uid, { claim, unprepared: false });
  }

  /** The sandbox has stopped. */
  stopped(sandboxId: string): void {
    this.#looks.get(sandboxId)?.stop.abort(NOT_NEEDED);
    this.#looks.delete(sandboxId);
  }

  /** Only these sandboxes are alive. */
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

  #areOver(namespace: string): boolean {
    return [...this.#looks.values()].every((each) => each.isOver || each.namespace !== namespace);
  }

  /** A claim may have been taken up again for a pod that has ended, or does not use it. */
  #tellUnused(namespace: string): void {
    const { claims, maybeUnused } = this.#options;
    for (const { claim, unprepared } of claims.all()) {
      if (unprepared && claim.namespace === namespace) maybeUnused(claim);
    }
  }

  /** Reports what the pod's containers wait for: each cause once. */
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
  #candidates(namespace: string): Candidate[] {
    const { claims } = this.#options;
    const lost = [...this.#lost.values()].map(({ claim }) => ({ claim, pods: [] }))
      .filter(({ claim }) => claim.namespace === namespace);
    const gone = [...this.#departed.in(namespace), ...lost]
      .filter(({ claim }) => !claims.get(claim.uid));
    return [...claims.shareableIn(namespace), ...gone];
  }

  /** A claim that the pod may or may not use. */
  #unclear(pod: PodRef): Candidate | undefined {
    const { claims } = this.#options;
    return this.#candidates(pod.namespace).find((each) =>
      !isFor(each, pod) || !claims.get(each.claim.uid)
    );
  }

  async #compareAll(
    pod: PodRef,
    { among, signal, found }: {
      /** The claims that it may share: asked for when its own are known. */
      readonly among: () => readonly Candidate[];
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

  /**
   * The claim's record, which includes the pod if the claim is reserved for it or for its group.
   */
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
   * Updates a claim's record with the pods that use it according to the API server. Runs under the
   * claim's lock.
   *
   * @param asked is aborted when the first caller no longer needs the result
   */
  async #update(claim: ClaimRef, asked: AbortSignal): Promise<ClaimRecord | undefined> {
    const { claims, driver, isUsed } = this.#options;
    const current = await this.#ports.cluster.getClaim(claim, this.#stop.signal);
    const record = claims.get(claim.uid);
    // Another one may have been made by its name.
    if (!current || claimRef(current).uid !== claim.uid) {
      this.#lost.delete(claim.uid);
      return undefined;
    }
    if (!record) return await this.#takeUp(claim, { current, asked });
    const { pods, groups } = reservationOf(current);
    const known = new Set(record.pods.map(({ uid }) => uid));
    const isNews = pods.some(({ uid }) => !known.has(uid)) ||
      groups.some((name) => !record.groups?.includes(name));
    if (isNews && !sameDevices(record.attachments, allocationResults(current, driver))) {
      // The kubelet took it as prepared, and it has been reallocated since.
      if (isUsed(claim)) {
        throw new Error(
          `${describeClaim(claim)}: it was allocated again, and its previous networks are still ` +
            "attached: they are released once the pods that use them have ended",
        );
      }
      const { unprepared } = record;
      await claims.put({ ...await this.#planned(claim), ...(unprepared && { unprepared }) });
    } else if (isNews) {
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
   * A new pod uses a claim that is not on record, because the kubelet has unprepared it meanwhile
   * or because the records are lost: the pod gets its network all the same. A claim that was
   * unprepared is released with the pod.
   *
   * @throws Error when it cannot get that
   */
  async #takeUp(
    claim: ClaimRef,
    { current, asked }: { readonly current: ResourceClaim; readonly asked: AbortSignal },
  ): Promise<ClaimRecord | undefined> {
    const { claims, driver, maybeUnused } = this.#options;
    const departed = this.#departed.recall(claim.uid);
    const lost = this.#lost.get(claim.uid);
    if (!departed && !lost) return undefined;
    const devices = allocationResults(current, driver);
    if (devices.length === 0) {
      this.#lost.delete(claim.uid);
      return undefined;
    }
    // Other callers that wait for it ask again.
    asked.throwIfAborted();
    const isAsBefore = departed && sameDevices(departed.attachments, devices);
    const record = isAsBefore ? this.#again(departed, current) : await this.#planned(claim);
    const unprepared = departed || lost?.unprepared ? true : undefined;
    await claims.put({ ...record, ...(unprepared && { unprepared }) });
    this.#departed.delete(claim.uid);
    this.#lost.delete(claim.uid);
    if (asked.aborted && unprepared) maybeUnused(claim);
    const why = departed ? "was unprepared while a pod began to use it" : "was in use";
    this.#ports.log.warn(
      `${describeClaim(claim)} ${why}, and is not on record: preparing it again`,
    );
    return claims.get(claim.uid);
  }

  /** A claim as it was, for the pods that use it now. */
  #again({ groups: _, ...departed }: ClaimRecord, current: ResourceClaim): ClaimRecord {
    assertDevicesFree(departed, this.#options.claims);
    const { pods, groups } = reservationOf(current);
    return { ...departed, pods, ...(groups.length > 0 && { groups }) };
  }

  /** The claim according to the API server. @throws Error why it cannot be used */
  async #planned(claim: ClaimRef): Promise<ClaimRecord> {
    const { claims, planner } = this.#options;
    const plan = await planner.plan(claim, this.#stop.signal);
    if ("error" in plan) throw new Error(plan.error);
    assertDevicesFree(plan, claims);
    return nameInterfaces(plan, { batch: [], prepared: claims });
  }

  #turn() {
    return { signal: this.#stop.signal, limitMs: TURN_LIMIT_MS };
  }
}

function isFor({ pods }: Pick<ClaimRecord, "pods">, { uid }: PodRef): boolean {
  return pods.some((pod) => pod.uid === uid);
}

interface Look {
  readonly namespace: string;
  readonly stop: AbortController;
  done: Promise<void>;
  isOver: boolean;
  /** What it waits for, in words. */
  waitsFor: string;
}
