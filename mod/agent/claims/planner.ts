import type { ClaimRef } from "../../claim/attachment.ts";
import { assignInterfaceNames } from "../../claim/interface_names.ts";
import { type ClaimPlan, planClaim } from "../../claim/plan.ts";
import { type Policy, refusalIn } from "../../claim/policy.ts";
import { assertAllowed } from "../../claim/policy_judge.ts";
import { Limiter } from "../../async/limiter.ts";
import type { ClaimRecord, NodeNetworks } from "../model.ts";
import type { Cluster, Cni, Devices, Events, Networks, PolicyNode } from "../ports.ts";
import type { ClaimStore } from "./store.ts";
import { describeClaim } from "../describe.ts";
import { errorMessage } from "../../async/error_message.ts";

/**
 * The limit of claims that are read and checked concurrently: each queries the API server and
 * plugins on the node.
 */
const WIDTH = 16;

/** Where claims, networks and devices are read, and where refusals are reported. */
export interface ClaimPlannerPorts {
  readonly cluster: Cluster;
  readonly cni: Cni;
  readonly devices: Devices;
  readonly networks: Networks;
  readonly node: PolicyNode;
  readonly events: Events;
}

/** The settings that decide which claims are accepted. */
export interface ClaimPlannerOptions {
  readonly driver: string;
  readonly policy: Policy;
}

/**
 * Turns the claims that the kubelet names into planned attachments. This work is slow and can fail.
 */
export class ClaimPlanner {
  readonly #ports: ClaimPlannerPorts;
  readonly #options: ClaimPlannerOptions;
  readonly #limiter = new Limiter(WIDTH, undefined, "read");

  constructor(ports: ClaimPlannerPorts, options: ClaimPlannerOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Reads the claim from the API server and checks everything that it asks for against this node.
   */
  read(ref: ClaimRef, signal: AbortSignal): Promise<ClaimPlan | { readonly error: string }> {
    return this.#limiter.run(() => this.plan(ref, signal), { signal }).catch((error) => ({
      error: errorMessage(error),
    }));
  }

  /** The same, for a caller that already has a slot among the reads. */
  async plan(ref: ClaimRef, signal: AbortSignal): Promise<ClaimPlan | { readonly error: string }> {
    try {
      // The caller may have given up while others were read.
      signal.throwIfAborted();
      const claim = await this.#ports.cluster.getClaim(ref, signal);
      if (!claim) {
        return { error: `${describeClaim(ref)} (UID ${ref.uid}) is gone from the API server` };
      }
      const interfaceOf = await this.#ports.devices.known(signal);
      const networks = await this.#ports.networks.read(ref.namespace, signal);
      const { driver } = this.#options;
      const plan = planClaim(claim, { driver, interfaceOf, networkOf: networks.networkOf });
      if (plan.claim.uid !== ref.uid) {
        return {
          error: `${describeClaim(ref)} has UID ${plan.claim.uid}, but the kubelet asks for ` +
            `${ref.uid}: it was deleted and created again`,
        };
      }
      this.#assertAllowed(plan, networks);
      await Promise.all(
        plan.attachments.map(async ({ network, request }) => {
          try {
            await this.#ports.cni.verify(network, signal);
          } catch (error) {
            throw new Error(`${describeClaim(ref)}: request ${request}: ${errorMessage(error)}`);
          }
        }),
      );
      return plan;
    } catch (error) {
      return { error: errorMessage(error) };
    }
  }

  /**
   * Checks whether the policy allows a claim that was prepared before, perhaps under a different
   * policy; returns the cause if it does not.
   */
  async judge(record: ClaimRecord, signal: AbortSignal): Promise<string | undefined> {
    try {
      await this.#ports.devices.known(signal);
      const { namespace } = record.claim;
      this.#assertAllowed(record, await this.#ports.networks.read(namespace, signal));
      return undefined;
    } catch (error) {
      return errorMessage(error);
    }
  }

  #assertAllowed({ claim, pods, attachments }: ClaimPlan, { names }: NodeNetworks): void {
    const { policy } = this.#options;
    const node = this.#ports.node.view();
    const options = { policy, namespace: claim.namespace, node, networkNames: names };
    for (const attachment of attachments) {
      try {
        assertAllowed(attachment, options);
      } catch (cause) {
        const at = `${describeClaim(claim)}: request ${attachment.request}`;
        const error = new Error(`${at}: ${errorMessage(cause)}`, { cause });
        if (refusalIn(cause)) this.#tellUsers({ claim, pods }, error.message);
        throw error;
      }
    }
  }

  #tellUsers({ claim, pods }: Pick<ClaimPlan, "claim" | "pods">, message: string): void {
    const { namespace } = claim;
    const reason = "NetworkRefusedByPolicy";
    this.#ports.events.warn({ reason, message, about: { kind: "ResourceClaim", ...claim } });
    for (const pod of pods) {
      this.#ports.events.warn({ reason, message, about: { kind: "Pod", namespace, ...pod } });
    }
  }
}

/**
 * Names the interfaces of a pod's claims: given names are kept, and those of an earlier run; the
 * others get free names in the pod. Throws an error that names both sides if two use the same name.
 *
 * @param batch the drafts of the same call: claims of the same pod
 */
export function nameInterfaces(
  draft: ClaimPlan,
  { batch, prepared }: { readonly batch: readonly ClaimPlan[]; readonly prepared: ClaimStore },
): ClaimRecord {
  const others = new Map<string, ClaimPlan>();
  for (const pod of draft.pods) {
    for (const record of prepared.ofPod(pod.uid)) others.set(record.claim.uid, record);
  }
  // Its existing record is the one that it replaces.
  others.delete(draft.claim.uid);
  const given = new Set(
    draft.attachments.flatMap(({ ifName, ifNameGiven }) => ifNameGiven ? ifName : []),
  );
  for (const other of batch) {
    const { uid } = other.claim;
    if (uid === draft.claim.uid || others.has(uid)) continue;
    // Drafts without names yet occupy those that they were given, and those of an earlier run that
    // this one was not given.
    const attachments = other.attachments.filter(({ ifName, ifNameGiven }) =>
      ifNameGiven || ifName !== "" && !given.has(ifName)
    );
    others.set(uid, prepared.get(uid) ?? { ...other, attachments });
  }
  return {
    ...draft,
    attachments: assignInterfaceNames(draft, [...others.values()]),
  };
}
