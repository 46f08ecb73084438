import { allocationResults, baseRequest, sameDevices } from "../../claim/allocation.ts";
import type { ClaimRef } from "../../claim/attachment.ts";
import { type ClaimPlan, claimRef } from "../../claim/plan.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { KeyedLock } from "../../async/keyed_lock.ts";
import { timeLimit } from "../../async/time_limit.ts";
import {
  ClaimPlanner,
  type ClaimPlannerOptions,
  type ClaimPlannerPorts,
  nameInterfaces,
} from "./planner.ts";
import type { CdiFiles, Log, Metrics } from "../ports.ts";
import type { ClaimRecord, PodRef } from "../model.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { underClaimLock } from "./claim_lock.ts";
import type { ClaimStore } from "./store.ts";
import type { SharedClaims } from "./shared_claims.ts";
import { assertDevicesFree } from "./exclusive_devices.ts";
import { describeClaim } from "../describe.ts";

/** Prepare answers before the kubelet's 45 s are over, so that its answer says what it waits for. */
const PREPARE_LIMIT_MS = 40_000;

/** A record is as good as the API server's word for so long: the kubelet tries again what failed. */
const CONFIRMED_MS = 60_000;

/** A device handed to the kubelet for a claim. */
export interface PreparedDevice {
  /** The request's name without its subrequest. */
  readonly requestNames: string[];
  readonly pool: string;
  readonly device: string;
  readonly cdiDeviceIds: string[];
  readonly shareID?: string;
}

/** A claim's answer to Prepare. */
export type Prepared =
  | { readonly devices: PreparedDevice[]; readonly error?: undefined }
  | { readonly error: string };

/** What the preparation of claims needs outside mod/agent. */
export interface ClaimPreparationPorts extends ClaimPlannerPorts {
  readonly cdi: Pick<CdiFiles, "deviceId">;
  readonly metrics: Pick<Metrics, "prepared">;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the preparation of claims shares with the rest of the agent. */
export interface ClaimPreparationOptions extends ClaimPlannerOptions {
  readonly claims: ClaimStore;
  readonly shared: SharedClaims;
  readonly sandboxes: Sandboxes;
  /** Of claims, by UID. */
  readonly locks: KeyedLock;
}

/** What a claim shall become: what is on record already, or what was read now, or why it cannot be. */
type Draft =
  | { readonly kind: "on record"; readonly record: ClaimRecord }
  | { readonly kind: "planned"; readonly plan: ClaimPlan; readonly replaces?: ClaimRecord }
  | { readonly kind: "refused"; readonly error: string };

/** NodePrepareResources: claims become records of what to attach to the sandboxes of their pods. */
export class ClaimPreparation {
  readonly #ports: ClaimPreparationPorts;
  readonly #options: ClaimPreparationOptions;
  readonly #planner: ClaimPlanner;
  /** When the records were last found to be what the API server says, by claim UID. */
  readonly #confirmed = new Map<string, number>();
  /** UIDs of claims that an earlier agent prepared, maybe under another policy. */
  readonly #unjudged = new Set<string>();

  constructor(ports: ClaimPreparationPorts, options: ClaimPreparationOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#planner = new ClaimPlanner(ports, options);
  }

  /** A claim is on record that an earlier agent prepared. */
  restored(claimUid: string): void {
    this.#unjudged.add(claimUid);
  }

  /** A claim is not on record any more. */
  released(claimUid: string): void {
    this.#unjudged.delete(claimUid);
    this.#confirmed.delete(claimUid);
  }

  /** The claims of one pod. One answer a claim, by UID. */
  async prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    using limit = timeLimit(this.#ports.clock, PREPARE_LIMIT_MS, signal);
    const until = limit.signal;
    const drafts = await Promise.all(refs.map((ref) => this.#draft(ref, until)));
    const batch = drafts.flatMap((draft) => draft.kind === "planned" ? [draft.plan] : []);
    // Without the lock of a claim: it takes those of others.
    const unclear = await this.#learnShared(batch, until);
    const answers = await Promise.all(refs.map(async (ref, i): Promise<[string, Prepared]> => {
      try {
        const draft = drafts[i]!;
        if (unclear && draft.kind === "planned" && !draft.replaces) throw unclear;
        const record = await this.#locked(ref, until, () => this.#accept(draft, { batch, until }));
        this.#ports.metrics.prepared("ok");
        return [ref.uid, { devices: this.#devices(record) }];
      } catch (error) {
        this.#ports.metrics.prepared("error");
        this.#ports.log.warn(`cannot prepare ${describeClaim(ref)}`, {
          error: errorMessage(error),
        });
        return [ref.uid, { error: errorMessage(error) }];
      }
    }));
    return new Map(answers);
  }

  #locked<T>(ref: ClaimRef, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    return underClaimLock(this.#options.locks, { ...ref, signal, limitMs: PREPARE_LIMIT_MS }, task);
  }

  #devices(record: ClaimRecord): PreparedDevice[] {
    const cdiDevice = this.#ports.cdi.deviceId(record.claim.uid);
    return record.attachments.map((attachment) => ({
      requestNames: [baseRequest(attachment)],
      pool: attachment.pool,
      device: attachment.device,
      cdiDeviceIds: cdiDevice ? [cdiDevice] : [],
      ...(attachment.shareID !== undefined && { shareID: attachment.shareID }),
    }));
  }

  async #draft(ref: ClaimRef, signal: AbortSignal): Promise<Draft> {
    try {
      // Under the lock, so that it is read after an Unprepare that is under way.
      return await this.#locked(ref, signal, async () => {
        const record = this.#options.claims.get(ref.uid);
        if (record) return await this.#compare(record, signal);
        return await this.#plan(ref, signal);
      });
    } catch (error) {
      return { kind: "refused", error: errorMessage(error) };
    }
  }

  async #plan(ref: ClaimRef, signal: AbortSignal): Promise<Draft> {
    const plan = await this.#planner.read(ref, signal);
    return "error" in plan ? { kind: "refused", error: plan.error } : { kind: "planned", plan };
  }

  /**
   * A record may be of an earlier allocation: the kubelet lost its own records and did not
   * unprepare the claim, which was then allocated anew.
   */
  async #compare(record: ClaimRecord, signal: AbortSignal): Promise<Draft> {
    const { claim } = record;
    const now = this.#ports.clock.now().getTime();
    const confirmed = this.#confirmed.get(claim.uid);
    const isFresh = confirmed !== undefined && now - confirmed < CONFIRMED_MS;
    // The kubelet that had unprepared it prepares what may have been allocated anew since.
    const isKnown = isFresh && !record.unprepared && !this.#unjudged.has(claim.uid);
    if (isKnown) return { kind: "on record", record };
    // Nothing hangs on it: it is what the API server and the policy say now.
    if (this.#options.sandboxes.withClaim(claim.uid).length === 0) {
      const draft = await this.#plan(claim, signal);
      return draft.kind === "planned" ? { ...draft, replaces: record } : draft;
    }
    // What is attached stays: only what comes is held to the policy.
    const error = await this.#planner.judge(record, signal);
    if (error !== undefined) return { kind: "refused", error };
    const current = await this.#ports.cluster.getClaim(claim, signal);
    const isSame = current && claimRef(current).uid === claim.uid &&
      sameDevices(record.attachments, allocationResults(current, this.#options.driver));
    if (!isSame) return { kind: "refused", error: allocatedAnew(claim).message };
    this.#unjudged.delete(claim.uid);
    this.#confirmed.set(claim.uid, now);
    return { kind: "on record", record };
  }

  /**
   * The names of new claims' interfaces depend on those that their pods share with others, of which
   * the kubelet says nothing. An error where that cannot be told.
   */
  async #learnShared(
    batch: readonly ClaimPlan[],
    signal: AbortSignal,
  ): Promise<Error | undefined> {
    const pods = new Map<string, PodRef>();
    for (const { claim, pods: users } of batch) {
      for (const pod of users) pods.set(pod.uid, { namespace: claim.namespace, ...pod });
    }
    try {
      await Promise.all([...pods.values()].map((pod) => this.#options.shared.learn(pod, signal)));
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** Puts it on record, if nobody else did meanwhile. Runs under the claim's lock. */
  async #accept(
    draft: Draft,
    { batch, until }: { readonly batch: readonly ClaimPlan[]; readonly until: AbortSignal },
  ): Promise<ClaimRecord> {
    // The kubelet that gave up may have unprepared it since.
    until.throwIfAborted();
    const { claims, sandboxes } = this.#options;
    if (draft.kind === "refused") throw new Error(draft.error);
    const { claim } = draft.kind === "planned" ? draft.plan : draft.record;
    const known = claims.get(claim.uid);
    if (draft.kind === "on record") {
      if (!known) throw new Error(`${describeClaim(claim)} was unprepared meanwhile`);
      return await this.#keep(known);
    }
    const { plan, replaces } = draft;
    const isUnused = sandboxes.withClaim(claim.uid).length === 0;
    // Others may have put pods on it since, or have planned it anew.
    const isAsRead = known && replaces && sameDevices(known.attachments, replaces.attachments);
    if (known && !(isUnused && isAsRead)) {
      if (!sameDevices(known.attachments, plan.attachments)) throw allocatedAnew(claim);
      return await this.#keep(known);
    }
    assertDevicesFree(plan, claims);
    // No pause between what the names depend on and their being taken.
    return await this.#write(nameInterfaces(plan, { batch, prepared: claims }));
  }

  /** The kubelet has prepared it again: it does not go with its last pod any more. */
  async #keep(known: ClaimRecord): Promise<ClaimRecord> {
    const { unprepared, ...record } = known;
    return unprepared ? await this.#write(record) : known;
  }

  async #write(record: ClaimRecord): Promise<ClaimRecord> {
    const { uid } = record.claim;
    await this.#options.claims.put(record);
    this.#unjudged.delete(uid);
    this.#confirmed.set(uid, this.#ports.clock.now().getTime());
    this.#ports.log.info(`prepared ${describeClaim(record.claim)}`, {
      networks: record.attachments.map(({ network }) => network.name),
      pods: record.pods.map(({ name }) => name),
    });
    return record;
  }
}

function allocatedAnew(claim: ClaimRef): Error {
  return new Error(
    `${
      describeClaim(claim)
    } was allocated again, and its previous networks are still attached: it ` +
      "is prepared when the pods that use them have ended",
  );
}
