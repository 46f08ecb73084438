import { allocationResults, baseRequest, sameDevices } from "../../claim/allocation.ts";
import type { ClaimRef } from "../../claim/attachment.ts";
import { type ClaimPlan, claimRef } from "../../claim/plan.ts";
import type { Clock } from "../../async/clock.ts";
import { errorMessage } from "../../async/error_message.ts";
import type { KeyedLock } from "../../async/keyed_lock.ts";
import { timeLimit } from "../../async/time_limit.ts";
import { type ClaimPlanner, type ClaimPlannerPorts, nameInterfaces } from "./planner.ts";
import type { CdiFiles, Log, Metrics, Traces } from "../ports.ts";
import type { ClaimRecord, PodRef, PreparePhase } from "../model.ts";
import type { Sandboxes } from "../attachments/sandboxes.ts";
import { underClaimLock } from "./claim_lock.ts";
import type { ClaimStore } from "./store.ts";
import type { SharedClaims } from "./shared_claims.ts";
import { assertDevicesFree } from "./exclusive_devices.ts";
import { describeClaim } from "../describe.ts";
import { type Refusal, Refusals } from "./refusals.ts";

/**
 * Prepare answers before the kubelet's 45 s are over, so that the answer can say what it is waiting
 * for.
 */
const PREPARE_LIMIT_MS = 40_000;

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

/** What the preparation of claims needs from outside mod/agent. */
export interface ClaimPreparationPorts extends ClaimPlannerPorts {
  readonly cdi: Pick<CdiFiles, "deviceId">;
  readonly metrics: Pick<Metrics, "prepared" | "prepareTook">;
  readonly traces: Pick<Traces, "ended">;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the preparation of claims shares with the rest of the agent. */
export interface ClaimPreparationOptions {
  readonly driver: string;
  readonly planner: ClaimPlanner;
  readonly claims: ClaimStore;
  readonly shared: SharedClaims;
  readonly sandboxes: Sandboxes;
  /** Of claims, by UID. */
  readonly locks: KeyedLock;
}

/** The plan for a claim: the existing record, what was just read, or why it cannot be prepared. */
type Draft =
  | { readonly kind: "on record"; readonly record: ClaimRecord }
  | { readonly kind: "planned"; readonly plan: ClaimPlan; readonly replaces?: ClaimRecord }
  | { readonly kind: "refused"; readonly error: string };

/**
 * NodePrepareResources: turns claims into records of what to attach to the sandboxes of their pods.
 */
export class ClaimPreparation {
  readonly #ports: ClaimPreparationPorts;
  readonly #options: ClaimPreparationOptions;
  /** UIDs of claims that an earlier agent prepared, perhaps under another policy. */
  readonly #unjudged = new Set<string>();
  readonly #refusals: Refusals;

  constructor(ports: ClaimPreparationPorts, options: ClaimPreparationOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#refusals = new Refusals(ports.clock);
  }

  /** The claims that could not be prepared when the kubelet asked for them last. */
  refused(): readonly Refusal[] {
    return this.#refusals.all();
  }

  /** Called for a recorded claim that an earlier agent prepared. */
  restored(claimUid: string): void {
    this.#unjudged.add(claimUid);
  }

  /** Called when a claim is no longer on record. */
  released(claimUid: string): void {
    this.#unjudged.delete(claimUid);
  }

  /** Prepares the claims of one pod. One answer for each claim, by UID. */
  async prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    const began = this.#ports.clock.elapsed();
    using limit = timeLimit(this.#ports.clock, PREPARE_LIMIT_MS, signal);
    const until = limit.signal;
    const drafts = await this.#timed(
      "plan",
      Promise.all(refs.map((ref) => this.#draft(ref, until))),
    );
    const batch = drafts.flatMap((draft) => draft.kind === "planned" ? [draft.plan] : []);
    // Not under the lock of the claim, because it takes the locks of others.
    const unclear = await this.#timed("pods", this.#learnShared(batch, until));
    const answers = refs.map(async (ref, i): Promise<[string, Prepared]> => {
      const draft = drafts[i]!;
      try {
        if (unclear && draft.kind === "planned" && !draft.replaces) throw unclear;
        const record = await this.#locked(ref, until, () => this.#accept(draft, { batch, until }));
        this.#ports.metrics.prepared("ok");
        this.#trace(record, began);
        this.#refusals.accepted(ref.uid);
        return [ref.uid, { devices: this.#devices(record) }];
      } catch (error) {
        this.#ports.metrics.prepared("error");
        if (draft.kind === "planned") this.#trace(draft.plan, began, errorMessage(error));
        this.#ports.log.warn(`cannot prepare ${describeClaim(ref)}`, {
          error: errorMessage(error),
        });
        this.#refusals.refused(ref, errorMessage(error));
        return [ref.uid, { error: errorMessage(error) }];
      }
    });
    return new Map(await this.#timed("record", Promise.all(answers)));
  }

  /** @param began when the kubelet asked, by the clock that is never set back */
  #trace({ claim, pods }: Pick<ClaimPlan, "claim" | "pods">, began: number, error?: string): void {
    const { clock, traces } = this.#ports;
    const seconds = (clock.elapsed() - began) / 1000;
    const about = { claim: `${claim.namespace}/${claim.name}` };
    for (const pod of pods) {
      const { namespace } = claim;
      traces.ended({ name: "prepare", pod: { namespace, ...pod }, seconds, about, error });
    }
  }

  async #timed<T>(phase: PreparePhase, work: Promise<T>): Promise<T> {
    const { clock, metrics } = this.#ports;
    const began = clock.elapsed();
    try {
      return await work;
    } finally {
      metrics.prepareTook(phase, (clock.elapsed() - began) / 1000);
    }
  }

  #locked<T>(ref: ClaimRef, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    const turn = { ...ref, clock: this.#ports.clock, signal, limitMs: PREPARE_LIMIT_MS };
    return underClaimLock(this.#options.locks, turn, task);
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
      // Under the lock, so that it is read after an Unprepare that is in progress.
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
    const plan = await this.#options.planner.read(ref, signal);
    return "error" in plan ? { kind: "refused", error: plan.error } : { kind: "planned", plan };
  }

  /**
   * A record may belong to an earlier allocation: the kubelet lost its own records and did not
   * unprepare the claim, which was then reallocated.
   */
  async #compare(record: ClaimRecord, signal: AbortSignal): Promise<Draft> {
    const { claim } = record;
    // Nothing is attached yet, so the current claim and policy apply.
    if (this.#options.sandboxes.withClaim(claim.uid).length === 0) {
      const draft = await this.#plan(claim, signal);
      return draft.kind === "planned" ? { ...draft, replaces: record } : draft;
    }
    // What is attached stays: only new attachments are checked against the policy.
    if (this.#unjudged.has(claim.uid)) {
      const error = await this.#options.planner.judge(record, signal);
      if (error !== undefined) return { kind: "refused", error };
    }
    const current = await this.#ports.cluster.getClaim(claim, signal);
    const isSame = current && claimRef(current).uid === claim.uid &&
      sameDevices(record.attachments, allocationResults(current, this.#options.driver));
    if (!isSame) return { kind: "refused", error: allocatedAnew(claim).message };
    this.#unjudged.delete(claim.uid);
    return { kind: "on record", record };
  }

  /**
   * The names of new claims' interfaces depend on those that their pods share with others, which
   * the kubelet does not report. Returns an error if this cannot be determined.
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

  /** Records the claim, unless another call has done so meanwhile. Runs under the claim's lock. */
  async #accept(
    draft: Draft,
    { batch, until }: { readonly batch: readonly ClaimPlan[]; readonly until: AbortSignal },
  ): Promise<ClaimRecord> {
    // A kubelet that gave up may have unprepared it since.
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
    // Other calls may have added pods to it since, or planned it again.
    const isAsRead = known && replaces && sameDevices(known.attachments, replaces.attachments);
    if (known && !(isUnused && isAsRead)) {
      if (!sameDevices(known.attachments, plan.attachments)) throw allocatedAnew(claim);
      return await this.#keep(known);
    }
    assertDevicesFree(plan, claims);
    // No await between reading what the names depend on and reserving them.
    return await this.#write(nameInterfaces(plan, { batch, prepared: claims }));
  }

  /** The kubelet has prepared it again: it is no longer released with its last pod. */
  async #keep(known: ClaimRecord): Promise<ClaimRecord> {
    const { unprepared, ...record } = known;
    return unprepared ? await this.#write(record) : known;
  }

  async #write(record: ClaimRecord): Promise<ClaimRecord> {
    await this.#options.claims.put(record);
    this.#unjudged.delete(record.claim.uid);
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
      "is prepared once the pods that use them have ended",
  );
}
