import type { ClaimRef } from "../../claim/attachment.ts";
import type { ClaimPlan } from "../../claim/plan.ts";
import {
  ClaimPlanner,
  type ClaimPlannerOptions,
  type ClaimPlannerPorts,
  type Draft,
  nameInterfaces,
} from "./planner.ts";
import type { KeyedLock } from "../../async/keyed_lock.ts";
import type { CdiFiles, Log, Metrics } from "../ports.ts";
import type { ClaimRecord, PodRef } from "../model.ts";
import type { ClaimStore } from "./store.ts";
import type { SharedClaims } from "./shared_claims.ts";
import { assertDevicesFree } from "./exclusive_devices.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

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

export interface ClaimPreparationPorts extends ClaimPlannerPorts {
  readonly cdi: Pick<CdiFiles, "deviceId">;
  readonly metrics: Pick<Metrics, "prepared">;
  readonly log: Log;
}

/** NodePrepareResources: claims become records of what to attach to the sandboxes of their pods. */
export class ClaimPreparation {
  readonly #ports: ClaimPreparationPorts;
  readonly #planner: ClaimPlanner;
  readonly #claims: ClaimStore;
  readonly #shared: SharedClaims;
  readonly #locks: KeyedLock;
  /** UIDs of claims that an earlier agent prepared, maybe under another policy. */
  readonly #unjudged = new Set<string>();

  constructor(
    ports: ClaimPreparationPorts,
    { claims, shared, locks, ...options }: ClaimPlannerOptions & {
      readonly claims: ClaimStore;
      readonly shared: SharedClaims;
      /** Of claims, by UID. */
      readonly locks: KeyedLock;
    },
  ) {
    this.#ports = ports;
    this.#planner = new ClaimPlanner(ports, options);
    this.#claims = claims;
    this.#shared = shared;
    this.#locks = locks;
  }

  /** A claim is on record that an earlier agent prepared. */
  restored(claimUid: string): void {
    this.#unjudged.add(claimUid);
  }

  /** A claim is on record no more. */
  forgotten(claimUid: string): void {
    this.#unjudged.delete(claimUid);
  }

  /** The claims of one pod. One answer a claim, by UID. */
  prepare(refs: readonly ClaimRef[], signal: AbortSignal): Promise<Map<string, Prepared>> {
    return this.#locks.run(refs.map(({ uid }) => uid), async () => {
      const drafts = new Map<string, Draft>();
      await Promise.all(refs.map(async (ref) => {
        drafts.set(ref.uid, await this.#draft(ref, signal));
      }));
      const batch = [...drafts.values()].filter((draft): draft is ClaimPlan => !("error" in draft));
      const unclear = await this.#learnShared(batch, signal);
      const answers = await Promise.all(refs.map(async (ref): Promise<[string, Prepared]> => {
        try {
          const draft = drafts.get(ref.uid)!;
          if ("error" in draft) throw new Error(draft.error);
          if (unclear && !this.#claims.get(ref.uid)) throw unclear;
          const devices = this.#devices(await this.#accept(draft, batch));
          this.#ports.metrics.prepared("ok");
          return [ref.uid, { devices }];
        } catch (error) {
          this.#ports.metrics.prepared("error");
          this.#ports.log.warn(`cannot prepare ${describeClaim(ref)}`, {
            error: errorMessage(error),
          });
          return [ref.uid, { error: errorMessage(error) }];
        }
      }));
      return new Map(answers);
    });
  }

  #devices(record: ClaimRecord): PreparedDevice[] {
    const cdiDevice = this.#ports.cdi.deviceId(record.claim.uid);
    return record.attachments.map(({ request, pool, device, shareID }) => ({
      requestNames: [request.split("/")[0]!],
      pool,
      device,
      cdiDeviceIds: cdiDevice ? [cdiDevice] : [],
      ...(shareID !== undefined && { shareID }),
    }));
  }

  async #draft(ref: ClaimRef, signal: AbortSignal): Promise<Draft> {
    const known = this.#claims.get(ref.uid);
    if (!known) return await this.#planner.read(ref, signal);
    if (!this.#unjudged.has(ref.uid)) return known;
    // What is attached stays: only what comes is held to the policy.
    const error = await this.#planner.judge(known, signal);
    if (error !== undefined) return { error };
    this.#unjudged.delete(ref.uid);
    return known;
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
      if (this.#claims.get(claim.uid)) continue;
      for (const pod of users) pods.set(pod.uid, { namespace: claim.namespace, ...pod });
    }
    try {
      await Promise.all([...pods.values()].map((pod) => this.#shared.learn(pod, signal)));
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** Names the draft's interfaces and puts it on record, without a pause between the two. */
  async #accept(draft: ClaimPlan, batch: readonly ClaimPlan[]): Promise<ClaimRecord> {
    const known = this.#claims.get(draft.claim.uid);
    if (known) return known;
    assertDevicesFree(draft, this.#claims);
    const record = nameInterfaces(draft, { batch, prepared: this.#claims });
    await this.#claims.put(record);
    this.#ports.log.info(`prepared ${describeClaim(record.claim)}`, {
      networks: record.attachments.map(({ network }) => network.name),
      pods: record.pods.map(({ name }) => name),
    });
    return record;
  }
}
