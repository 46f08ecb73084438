import {
  type sendUnaryData,
  type ServerUnaryCall,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  NodePrepareResourcesRequest,
  NodePrepareResourcesResponseSchema,
  NodeUnprepareResourcesRequest,
  NodeUnprepareResourcesResponseSchema,
} from "../../proto/gen/dra/dra_v1_pb.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import { IDENTITY, show } from "../claim/field.ts";
import { errorMessage } from "../async/error_message.ts";

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

type PrepareResponse = MessageInitShape<typeof NodePrepareResourcesResponseSchema>;
type UnprepareResponse = MessageInitShape<typeof NodeUnprepareResourcesResponseSchema>;

/** Claims of one call: those of one pod. */
const MOST_CLAIMS = 256;
/** Calls in progress at once: more than pods start or end on a node at one time. */
const MOST_CALLS = 1024;

const NO_ANSWER = "the driver did not answer for this claim";

/** The DRAPlugin service. v1 and v1beta1 differ in a field that the other's encoder leaves out. */
export function draService(handlers: DraHandlers): UntypedServiceImplementation {
  const underWay = { calls: 0 };
  return {
    nodePrepareResources: unary<NodePrepareResourcesRequest, PrepareResponse>(
      underWay,
      async ({ claims }, signal) => {
        const outcomes = await settled(claims, (refs) => handlers.prepare(refs, signal));
        return {
          claims: byUid(claims, (uid) => {
            const outcome = outcomes.get(uid) ?? { error: NO_ANSWER };
            return outcome.error !== undefined
              ? { devices: [], error: outcome.error }
              : { devices: outcome.devices.map(toDevice), error: "" };
          }),
        };
      },
    ),
    nodeUnprepareResources: unary<NodeUnprepareResourcesRequest, UnprepareResponse>(
      underWay,
      async ({ claims }, signal) => {
        const outcomes = await settled(claims, (refs) => handlers.unprepare(refs, signal));
        return {
          claims: byUid(claims, (uid) => {
            const outcome = outcomes.get(uid);
            return { error: outcome ? outcome.error ?? "" : NO_ANSWER };
          }),
        };
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

/** What a kubelet cannot mean: it would make files of any name, and any number of requests. */
function assertClaims(claims: readonly ClaimRef[]): void {
  if (claims.length > MOST_CLAIMS) {
    throw new CallError(
      status.INVALID_ARGUMENT,
      `the call names ${claims.length} claims; at most ${MOST_CLAIMS} are allowed`,
    );
  }
  for (const { namespace, name, uid } of claims) {
    const wrong = [namespace, name, uid].find((value) => !IDENTITY.test(value));
    if (wrong === undefined) continue;
    throw new CallError(
      status.INVALID_ARGUMENT,
      `${show(wrong)} is not the namespace, name or UID of a claim`,
    );
  }
}

/** A call that is answered with a specific status. */
class CallError extends Error {
  override readonly name = "CallError";

  constructor(readonly code: status, message: string) {
    super(message);
  }
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
    const message = errorMessage(error);
    return new Map(refs.map(({ uid }) => [uid, { error: message }]));
  }
}

/** A unary method whose signal is aborted when the caller cancels or its deadline passes. */
function unary<Request extends { readonly claims: readonly ClaimRef[] }, Response>(
  underWay: { calls: number },
  run: (request: Request, signal: AbortSignal) => Promise<Response>,
) {
  return async (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => {
    const cancelled = new AbortController();
    call.on("cancelled", () => cancelled.abort(new Error("the kubelet cancelled the call")));
    underWay.calls++;
    try {
      if (underWay.calls > MOST_CALLS) {
        throw new CallError(
          status.RESOURCE_EXHAUSTED,
          `${MOST_CALLS} calls are already in progress`,
        );
      }
      assertClaims(call.request.claims);
      callback(null, await run(call.request, cancelled.signal));
    } catch (error) {
      const code = error instanceof CallError ? error.code : status.INTERNAL;
      callback({ code, details: errorMessage(error) });
    } finally {
      underWay.calls--;
    }
  };
}
