import { type LiveAddress, liveAddress, type ObjectId } from "../duties/address_use.ts";
import type { NetworkStatus } from "../duties/network_status.ts";
import type { CollectorApi, NetworkApi } from "../duties/ports.ts";
import type { KubeConnection, Request } from "./connection.ts";
import { KubeError } from "./error.ts";
import { RESOURCE_API } from "./resource_api.ts";

const NETWORK_API = "dra.networking/v1alpha1";
/** Objects on a page. */
const PAGE = 500;
/** Of the objects of a list, only who they are. */
const METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const MERGE_PATCH = "application/merge-patch+json";

/** The API server, as far as what one agent of the cluster does for all needs it. */
export class KubeDutyApi implements CollectorApi, NetworkApi {
  readonly #connection: KubeConnection;

  constructor(connection: KubeConnection) {
    this.#connection = connection;
  }

  async nodes(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for await (const page of this.#pages("/api/v1/nodes", { accept: METADATA, signal })) {
      for (const { metadata } of page as readonly NamedObject[]) names.add(metadata.name);
    }
    return names;
  }

  async hasNode(name: string, signal: AbortSignal): Promise<boolean> {
    return await this.#get(`/api/v1/nodes/${encodeURIComponent(name)}`, signal) !== undefined;
  }

  async hasPod(pod: ObjectId, signal: AbortSignal): Promise<boolean> {
    const found = await this.#get(pathOf("/api/v1", "pods", pod), signal);
    return (found as NamedObject | undefined)?.metadata.uid === pod.uid;
  }

  async isReserved(
    claim: ObjectId,
    { pod, signal }: { readonly pod: ObjectId; readonly signal: AbortSignal },
  ): Promise<boolean> {
    const path = pathOf(`/apis/${RESOURCE_API}`, "resourceclaims", claim);
    const found = await this.#get(path, signal) as ReservedClaim | undefined;
    return found?.metadata.uid === claim.uid &&
      (found.status?.reservedFor ?? []).some(({ uid }) => uid === pod.uid);
  }

  async address(name: string, signal: AbortSignal): Promise<LiveAddress | undefined> {
    const path = `/apis/${NETWORK_API}/networkaddresses/${encodeURIComponent(name)}`;
    const found = await this.#get(path, signal);
    return found === undefined ? undefined : liveAddress(found);
  }

  async remove(
    { name, uid, resourceVersion }: LiveAddress,
    signal: AbortSignal,
  ): Promise<boolean> {
    return await this.#write({
      method: "DELETE",
      path: `/apis/${NETWORK_API}/networkaddresses/${encodeURIComponent(name)}`,
      body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid, resourceVersion } },
      signal,
    });
  }

  async writeStatus(
    { name, uid }: { readonly name: string; readonly uid: string },
    { status, signal }: { readonly status: NetworkStatus; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#write({
      method: "PATCH",
      path: `${networkPath(name)}/status`,
      contentType: MERGE_PATCH,
      // What is no longer so is removed: a merge keeps what it does not name.
      body: { metadata: { uid }, status: { attachments: null, addresses: null, ...status } },
      signal,
    });
  }

  async writeFinalizers(
    { name, uid, resourceVersion }: {
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
    },
    { finalizers, signal }: {
      readonly finalizers: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    await this.#write({
      method: "PATCH",
      path: networkPath(name),
      contentType: MERGE_PATCH,
      body: { metadata: { uid, resourceVersion, finalizers } },
      signal,
    });
  }

  claims(signal: AbortSignal): AsyncIterable<readonly unknown[]> {
    return this.#pages(`/apis/${RESOURCE_API}/resourceclaims`, { signal });
  }

  async *#pages(
    path: string,
    options: Pick<Request, "accept" | "signal">,
  ): AsyncGenerator<readonly unknown[]> {
    for (let from = "";;) {
      const query = new URLSearchParams({
        limit: `${PAGE}`,
        ...(from !== "" && { continue: from }),
      });
      const answer = await this.#connection.request({
        method: "GET",
        path: `${path}?${query}`,
        ...options,
      });
      const { items, metadata } = answer as {
        readonly items?: readonly unknown[] | null;
        readonly metadata?: { readonly continue?: string };
      };
      yield items ?? [];
      from = metadata?.continue ?? "";
      if (from === "") return;
    }
  }

  /** Undefined only where the API server says that it has no such object. */
  async #get(path: string, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#connection.request({ method: "GET", path, signal });
    } catch (error) {
      if (isMissing(error, path)) return undefined;
      throw error;
    }
  }

  /** Whether it was written: an object that is gone, or is another one by now, is left as it is. */
  async #write(request: Request): Promise<boolean> {
    try {
      await this.#connection.request(request);
      return true;
    } catch (error) {
      if (error instanceof KubeError && (error.status === 404 || error.status === 409)) {
        return false;
      }
      throw error;
    }
  }
}

function networkPath(name: string): string {
  return `/apis/${NETWORK_API}/networks/${encodeURIComponent(name)}`;
}

function pathOf(api: string, plural: string, { namespace, name }: ObjectId): string {
  const [inNamespace, named] = [namespace, name].map(encodeURIComponent);
  return `${api}/namespaces/${inNamespace}/${plural}/${named}`;
}

/** Whether the API server says that it has no such object, rather than no such API, or no such path. */
function isMissing(error: unknown, path: string): boolean {
  const name = decodeURIComponent(path.split("/").at(-1)!);
  return error instanceof KubeError && error.status === 404 && error.message.includes(`"${name}"`);
}

interface NamedObject {
  readonly metadata: { readonly name: string; readonly uid: string };
}

interface ReservedClaim extends NamedObject {
  readonly status?: { readonly reservedFor?: readonly { readonly uid: string }[] };
}
