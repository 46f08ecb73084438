import {
  type sendUnaryData,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type {
  NodePrepareResourcesRequest,
  NodePrepareResourcesResponse,
  NodeUnprepareResourcesRequest,
  NodeUnprepareResourcesResponse,
} from "../../proto/gen/dra/dra_v1_pb.ts";
import type { ClaimRef } from "../claim/attachment.ts";

/** A device that was prepared for a claim. */
export interface PreparedDevice {
  /** Without subrequests. */
  readonly requestNames: readonly string[];
  readonly pool: string;
  readonly device: string;
  readonly cdiDeviceIds: readonly string[];
  readonly shareID?: string;
}

/** A claim's answer: its devices, or what is wrong. */
export type PrepareOutcome =
  | { readonly devices: readonly PreparedDevice[]; readonly error?: undefined }
  | { readonly error: string };

/** What the driver does for the kubelet. One answer a claim, by UID; a claim without one failed. */
export interface DraHandlers {
  /** The claims of one pod. */
  prepare(
    claims: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, PrepareOutcome>>;
  unprepare(
    claims: readonly ClaimRef[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, { readonly error?: string }>>;
}

const NO_ANSWER = "the driver gave no answer for this claim";

/** The DRAPlugin service. v1 and v1beta1 differ in a field that the other's encoder leaves out. */
export function draService(handlers: DraHandlers): UntypedServiceImplementation {
  return {
    nodePrepareResources: unary<NodePrepareResourcesRequest, NodePrepareResourcesResponse>(
      async ({ claims }, signal) => {
        const outcomes = await settled(claims, (refs) => handlers.prepare(refs, signal));
        return {
          claims: byUid(claims, (uid) => {
            const outcome = outcomes.get(uid) ?? { error: NO_ANSWER };
            return outcome.error !== undefined
              ? { devices: [], error: outcome.error }
              : { devices: outcome.devices.map(toDevice), error: "" };
          }),
        } as unknown as NodePrepareResourcesResponse;
      },
    ),
    nodeUnprepareResources: unary<NodeUnprepareResourcesRequest, NodeUnprepareResourcesResponse>(
      async ({ claims }, signal) => {
        const outcomes = await settled(claims, (refs) => handlers.unprepare(refs, signal));
        return {
          claims: byUid(claims, (uid) => {
            const outcome = outcomes.get(uid);
            return { error: outcome ? outcome.error ?? "" : NO_ANSWER };
          }),
        } as unknown as NodeUnprepareResourcesResponse;
      },
    ),
  };
}

function toDevice({ requestNames, pool, device, cdiDeviceIds, shareID }: PreparedDevice) {
  return {
    requestNames: [...requestNames],
    poolName: pool,
    deviceName: device,
    cdiDeviceIds: [...cdiDeviceIds],
    ...(shareID !== undefined && { shareId: shareID }),
  };
}

function byUid<T>(claims: readonly ClaimRef[], make: (uid: string) => T): Record<string, T> {
  return Object.fromEntries(claims.map(({ uid }) => [uid, make(uid)]));
}

/** A handler that throws fails the claims, not the call: the kubelet shows the reason on the pod. */
async function settled<T>(
  claims: readonly ClaimRef[],
  run: (refs: ClaimRef[]) => Promise<ReadonlyMap<string, T>>,
): Promise<ReadonlyMap<string, T | { error: string }>> {
  const refs = claims.map(({ namespace, name, uid }) => ({ namespace, name, uid }));
  try {
    return await run(refs);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return new Map(refs.map(({ uid }) => [uid, { error: message }]));
  }
}

/** A unary method whose signal is aborted when the caller cancels or its deadline passes. */
function unary<Request, Response>(
  run: (request: Request, signal: AbortSignal) => Promise<Response>,
) {
  return async (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    const cancelled = new AbortController();
    call.on("cancelled", () => cancelled.abort(new Error("the kubelet cancelled the call")));
    try {
      callback(null, await run(call.request, cancelled.signal));
    } catch (error) {
      callback({ code: status.INTERNAL, details: String(error) });
    }
  };
}
