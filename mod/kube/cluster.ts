import type { Cluster } from "../agent/ports.ts";
import type { DeviceStatus, PodRef, ResourceClaim } from "../agent/model.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { type ClaimStatus, claimStatus } from "../claim/claim_status.ts";
import { object } from "../claim/field.ts";
import { type PodClaims, podClaims } from "../claim/pod_claims.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { notServed, RESOURCE_API } from "./resource_api.ts";
import { yamlSafe } from "./yaml_text.ts";

/** How often the removal of entries is tried anew at once when the claim has changed meanwhile. */
const REMOVE_TRIES = 3;

/** The API server as the agent uses it. */
export class KubeCluster implements Cluster {
  readonly #connection: KubeConnection;
  readonly #driver: string;
  readonly #pool: string;

  /**
   * @param driver entries of the status are owned under its name (field manager): it must not change
   * @param nodeName the node's devices are the pool of that name
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
    if (devices.length === 0) return await this.#removeEntries(claim, signal);
    try {
      await this.#apply(claim, { devices, signal });
      return "applied";
    } catch (error) {
      if (isMissing(error, claim.name)) return "gone";
      // Refused of another claim by that name too, and of one that was deallocated.
      const refused = error instanceof KubeError && (error.status === 409 || error.status === 422);
      if (refused && !await this.#isAllocatedHere(claim, signal)) return "gone";
      throw explained(error);
    }
  }

  /**
   * All agents of the driver write as one field manager, so that applying nothing removes the entries
   * of whichever node the claim is allocated to by now. Entries that are applied need no such care: the
   * API server refuses those of devices that are not allocated, and has removed them when it
   * deallocated the claim.
   */
  async #removeEntries(claim: ClaimRef, signal: AbortSignal): Promise<"applied" | "gone"> {
    for (let tries = 1;; tries++) {
      const current = await this.#current(claim, signal);
      if (!current || this.#isElsewhere(current)) return "gone";
      const { written, resourceVersion } = current;
      if (!written.some(({ driver }) => driver === this.#driver)) return "applied";
      try {
        await this.#apply(claim, { devices: [], resourceVersion, signal });
        return "applied";
      } catch (error) {
        if (isMissing(error, claim.name)) return "gone";
        // The claim changed since it was read.
        const changed = error instanceof KubeError && error.status === 409;
        if (!changed || tries >= REMOVE_TRIES) throw explained(error);
      }
    }
  }

  /** Whether devices of another node's are allocated, or their status is written. */
  #isElsewhere({ allocated, written }: ClaimStatus): boolean {
    return [...allocated, ...written].some(({ driver, pool }) =>
      driver === this.#driver && pool !== this.#pool
    );
  }

  /** @param resourceVersion where it is given, a claim that has changed since is left alone (409) */
  async #apply(
    claim: ClaimRef,
    { devices, resourceVersion, signal }: {
      readonly devices: readonly DeviceStatus[];
      readonly resourceVersion?: string;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { namespace, name, uid } = claim;
    const query = new URLSearchParams({ fieldManager: this.#driver, force: "true" });
    await this.#connection.request({
      method: "PATCH",
      path: `${claimPath(claim)}/status?${query}`,
      contentType: "application/apply-patch+yaml",
      body: {
        apiVersion: RESOURCE_API,
        kind: "ResourceClaim",
        metadata: { namespace, name, uid, resourceVersion },
        status: { devices: yamlSafe(devices) },
      },
      signal,
    });
  }

  async #isAllocatedHere(claim: ClaimRef, signal: AbortSignal): Promise<boolean> {
    const { allocated } = await this.#current(claim, signal) ?? { allocated: [] };
    return allocated.some(({ driver, pool }) => driver === this.#driver && pool === this.#pool);
  }

  /** The claim, unless there is none or another one by its name. */
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
