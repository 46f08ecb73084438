import { errorMessage } from "../async/error_message.ts";
import type { ServerWritableStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import {
  HealthStatus,
  type NodeWatchResourcesRequest,
  type NodeWatchResourcesResponse,
} from "../../proto/gen/dra/health_v1_pb.ts";
import type { Log } from "../agent/ports.ts";

/** How one device is doing. */
export interface DeviceHealth {
  readonly pool: string;
  readonly device: string;
  readonly healthy: boolean;
  readonly message: string;
}

export interface HealthSource {
  /** Gives the full list now, and again whenever the kubelet should hear it. */
  watchHealth(signal: AbortSignal): AsyncIterable<readonly DeviceHealth[]>;
}

/** The DRAResourceHealth service; v1 and v1alpha1 are alike on the wire. */
export function healthService(
  source: HealthSource,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): UntypedServiceImplementation {
  return {
    async nodeWatchResources(
      stream: ServerWritableStream<NodeWatchResourcesRequest, NodeWatchResourcesResponse>,
    ) {
      const ended = new AbortController();
      stream.on("cancelled", () => ended.abort());
      stream.on("error", () => ended.abort());
      const until = AbortSignal.any([signal, ended.signal]);
      try {
        for await (const devices of source.watchHealth(until)) {
          if (until.aborted) break;
          // A kubelet that does not read gets the next list when it does.
          if (!stream.write(toResponse(devices))) await drained(stream, until);
        }
      } catch (error) {
        if (!until.aborted) log.warn("the health stream broke", { error: errorMessage(error) });
      }
      stream.end();
    },
  };
}

function toResponse(devices: readonly DeviceHealth[]): NodeWatchResourcesResponse {
  const now = BigInt(Math.floor(Date.now() / 1000));
  return {
    devices: devices.map(({ pool, device, healthy, message }) => ({
      device: { poolName: pool, deviceName: device },
      health: healthy ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
      lastUpdatedTime: now,
      message,
    })),
  } as unknown as NodeWatchResourcesResponse;
}

function drained(stream: ServerWritableStream<unknown, unknown>, signal: AbortSignal) {
  return new Promise<void>((resolve) => {
    const done = () => {
      stream.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    stream.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
