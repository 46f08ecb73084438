import type { Cluster } from "../agent/ports.ts";
import type { DeviceStatus, PodRef, ResourceClaim } from "../agent/model.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { type ClaimStatus, claimStatus, deviceKey } from "../claim/claim_status.ts";
import { object } from "../claim/field.ts";
import { type PodClaims, podClaims } from "../claim/pod_claims.ts";
import type { KubeConnection } from "./connection.ts";
import { entriesPatch } from "./entries_patch.ts";
import { KubeError } from "./error.ts";
import { notServed, RESOURCE_API } from "./resource_api.ts";
import { yamlSafe } from "./yaml_text.ts";

/** How often a patch of the status is tried at once when the claim has changed meanwhile. */
const PATCH_TRIES = 3;

/** The API server as the agent uses it. */
export class KubeCluster implements Cluster {
  readonly #connection: KubeConnection;
  readonly #driver: string;
  readonly #pool: string;

  /**
   * @param driver entries of the status are owned under its name (field manager): it must not change
   * @param nodeName the node's devices are the pool with that name
   */
  constructor(
    connection: KubeConnection,
    { driver, nodeName }: { readonly driver: string; readonly nodeName: string },
  ) {
    this.#connection = connection;
    this.#driver = driver;
    this.#pool = nodeName;
  }

  async getClaim(
    claim: ObjectName,
    signal: AbortSignal,
  ): Promise<ResourceClaim | undefined> {
    try {
      const path = claimPath(claim);
      const found = await this.#connection.request({ method: "GET", path, signal });
      return object(found, "the claim");
    } catch (error) {
      if (isMissing(error, claim.name)) return undefined;
      throw explained(error);
    }
  }

  async getPodClaims(pod: PodRef, signal: AbortSignal): Promise<PodClaims> {
    try {
      const path = pathOf("/api/v1", "pods", pod);
      const found = await this.#connection.request({ method: "GET", path, signal });
      return podClaims(found, pod.uid) ?? { names: [] };
    } catch (error) {
      if (isMissing(error, pod.name)) return { names: [] };
      throw error;
    }
  }

  async applyDeviceStatus(
    claim: ClaimRef,
    devices: readonly DeviceStatus[],
    signal: AbortSignal,
  ): Promise<"applied" | "gone"> {
    if (devices.length === 0) return await this.#patch(claim, { devices, signal });
    try {
      const claimNow = await this.#apply(claim, { devices, signal });
      const isLeft = this.#isLeft(claimNow, devices);
      return isLeft ? await this.#patch(claim, { devices, signal }) : "applied";
    } catch (error) {
      if (isMissing(error, claim.name)) return "gone";
      if (isOfAllocation(error)) return await this.#patch(claim, { devices, signal });
      // Refused of another claim by that name too, and of one that was deallocated.
      const refused = error instanceof KubeError && (error.status === 409 || error.status === 422);
      if (refused && !await this.#isAllocatedHere(claim, signal)) return "gone";
      throw explained(error);
    }
  }

  /**
   * Writes the entries by JSON Patch, for what server-side apply cannot do:
   *
   * - Server-side apply writes the whole status anew, with the keys of opaque parameters in
   *   alphabetical order. Where a claim was created with others, the API server takes that for a
   *   change of `status.allocation`, which is immutable, and refuses it.
   * - It does not remove entries that were written in another way, and says nothing of them.
   * - All agents of the driver write as one field manager, so that applying nothing removes the
   *   entries of whichever node the claim is allocated to by now. Entries that are applied need no
   *   such care: the API server refuses those of devices that are not allocated, and has removed
   *   them when it deallocated the claim.
   *
   * The patch applies only to the claim as it was read.
   */
  async #patch(
    claim: ClaimRef,
    { devices, signal }: {
      readonly devices: readonly DeviceStatus[];
      readonly signal: AbortSignal;
    },
  ): Promise<"applied" | "gone"> {
    let failed: { readonly error: KubeError; readonly resourceVersion: string } | undefined;
    for (let tries = 0;; tries++) {
      const current = await this.#current(claim, signal);
      if (!current || this.#isElsewhere(current)) return "gone";
      if (devices.length > 0 && !this.#isHere(current)) return "gone";
      // The same would be refused again.
      if (failed?.resourceVersion === current.resourceVersion) throw explained(failed.error);
      if (failed && tries >= PATCH_TRIES) throw changedMeanwhile(claim, failed.error);
      const body = entriesPatch(current, { driver: this.#driver, devices: yamlSafe(devices) });
      if (body.length === 0) return "applied";
      try {
        await this.#connection.request({
          method: "PATCH",
          path: this.#statusPath(claim),
          contentType: "application/json-patch+json",
          body,
          signal,
        });
        return "applied";
      } catch (error) {
        if (isMissing(error, claim.name)) return "gone";
        // A test of the patch that fails is answered with 422, as what is invalid is.
        const isRefused = error instanceof KubeError &&
          (error.status === 409 || error.status === 422);
        if (!isRefused) throw explained(error);
        failed = { error, resourceVersion: current.resourceVersion };
      }
    }
  }

  /** Whether devices of another node's are allocated, or their status is written. */
  #isElsewhere({ allocated, written }: ClaimStatus): boolean {
    return [...allocated, ...written].some(({ driver, pool }) =>
      driver === this.#driver && pool !== this.#pool
    );
  }

  #isHere({ allocated }: ClaimStatus): boolean {
    return allocated.some(({ driver, pool }) => driver === this.#driver && pool === this.#pool);
  }

  /** Whether a claim has entries of the driver beside those. */
  #isLeft(claim: unknown, devices: readonly DeviceStatus[]): boolean {
    const wanted = new Set(devices.map(deviceKey));
    return claimStatus(claim).written.some((entry) =>
      entry.driver === this.#driver && !wanted.has(deviceKey(entry))
    );
  }

  /** The claim as it is then. */
  async #apply(
    claim: ClaimRef,
    { devices, signal }: {
      readonly devices: readonly DeviceStatus[];
      readonly signal: AbortSignal;
    },
  ): Promise<unknown> {
    const { namespace, name, uid } = claim;
    return await this.#connection.request({
      method: "PATCH",
      path: `${this.#statusPath(claim)}&force=true`,
      contentType: "application/apply-patch+yaml",
      body: {
        apiVersion: RESOURCE_API,
        kind: "ResourceClaim",
        metadata: { namespace, name, uid },
        status: { devices: yamlSafe(devices) },
      },
      signal,
    });
  }

  #statusPath(claim: ClaimRef): string {
    const query = new URLSearchParams({ fieldManager: this.#driver });
    return `${claimPath(claim)}/status?${query}`;
  }

  async #isAllocatedHere(claim: ClaimRef, signal: AbortSignal): Promise<boolean> {
    const current = await this.#current(claim, signal);
    return current !== undefined && this.#isHere(current);
  }

  /** The claim, unless it does not exist or a different one has its name. */
  async #current(claim: ClaimRef, signal: AbortSignal): Promise<ClaimStatus | undefined> {
    const found = await this.getClaim(claim, signal);
    const current = found && claimStatus(found);
    return current?.uid === claim.uid ? current : undefined;
  }
}

interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

function claimPath(claim: ObjectName): string {
  return pathOf(`/apis/${RESOURCE_API}`, "resourceclaims", claim);
}

function pathOf(api: string, plural: string, { namespace, name }: ObjectName): string {
  const [inNamespace, named] = [namespace, name].map(encodeURIComponent);
  return `${api}/namespaces/${inNamespace}/${plural}/${named}`;
}

/** Whether the API server says that it has no such object, rather than no such API. */
function isMissing(error: unknown, name: string): boolean {
  return error instanceof KubeError && error.status === 404 && error.message.includes(`"${name}"`);
}

function explained(error: unknown): unknown {
  return error instanceof KubeError && error.status === 404 ? notServed(error) : error;
}

/** Whether the API server finds that `status.allocation` would change, which nobody here asks for. */
function isOfAllocation(error: unknown): boolean {
  return error instanceof KubeError && error.status === 422 &&
    error.fields.includes("status.allocation");
}

/** What is to be tried again later. */
function changedMeanwhile(claim: ClaimRef, cause: KubeError): KubeError {
  return new KubeError({
    verb: "PATCH",
    path: `${claimPath(claim)}/status`,
    status: 409,
    problem: `the claim has been modified ${PATCH_TRIES} times while its status was written`,
    cause,
  });
}
