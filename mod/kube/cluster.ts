import type { Cluster } from "../agent/ports.ts";
import type { DeviceStatus, PodRef, ResourceClaim } from "../agent/model.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import type { KubeConnection } from "./connection.ts";
import { KubeError } from "./error.ts";
import { notServed, RESOURCE_API } from "./resource_api.ts";
import { yamlSafe } from "./yaml_text.ts";

/** The API server as the agent uses it. */
export class KubeCluster implements Cluster {
  readonly #connection: KubeConnection;
  readonly #fieldManager: string;

  /** @param fieldManager the name under which status entries are owned; it must not change */
  constructor(connection: KubeConnection, { fieldManager }: { readonly fieldManager: string }) {
    this.#connection = connection;
    this.#fieldManager = fieldManager;
  }

  async getClaim(
    claim: ObjectName,
    signal: AbortSignal,
  ): Promise<ResourceClaim | undefined> {
    try {
      const path = claimPath(claim);
      return await this.#connection.request({ method: "GET", path, signal }) as ResourceClaim;
    } catch (error) {
      if (isMissing(error, claim.name)) return undefined;
      throw explained(error);
    }
  }

  async getClaimNames(
    pod: PodRef,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    try {
      const path = pathOf("/api/v1", "pods", pod);
      const found = await this.#connection.request({ method: "GET", path, signal }) as Pod;
      if (found.metadata?.uid !== pod.uid) return [];
      const names = found.spec?.resourceClaims?.map(({ resourceClaimName }) => resourceClaimName);
      return names?.filter((name) => name !== undefined) ?? [];
    } catch (error) {
      if (isMissing(error, pod.name)) return [];
      throw error;
    }
  }

  async applyDeviceStatus(
    claim: ClaimRef,
    devices: readonly DeviceStatus[],
    signal: AbortSignal,
  ): Promise<"applied" | "gone"> {
    const { namespace, name, uid } = claim;
    const query = new URLSearchParams({ fieldManager: this.#fieldManager, force: "true" });
    try {
      await this.#connection.request({
        method: "PATCH",
        path: `${claimPath(claim)}/status?${query}`,
        contentType: "application/apply-patch+yaml",
        body: {
          apiVersion: RESOURCE_API,
          kind: "ResourceClaim",
          metadata: { namespace, name, uid },
          status: { devices: yamlSafe(devices) },
        },
        signal,
      });
      return "applied";
    } catch (error) {
      if (isMissing(error, name)) return "gone";
      // Another claim of that name, or one that was deallocated: both refuse what is applied.
      const refused = error instanceof KubeError && (error.status === 409 || error.status === 422);
      if (refused && !await this.#isThere(claim, signal)) return "gone";
      throw explained(error);
    }
  }

  async #isThere({ namespace, name, uid }: ClaimRef, signal: AbortSignal): Promise<boolean> {
    const current = await this.getClaim({ namespace, name }, signal);
    return (current?.metadata as { uid?: unknown } | undefined)?.uid === uid;
  }
}

/** Of a Pod (core/v1), what is read of it. */
interface Pod {
  readonly metadata?: { readonly uid?: string };
  readonly spec?: { readonly resourceClaims?: readonly { readonly resourceClaimName?: string }[] };
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
