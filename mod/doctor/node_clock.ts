import type { NodeClock, RawObject } from "./seen.ts";

/**
 * A node's clock by its Lease (coordination.k8s.io/v1): the kubelet writes its own time into
 * `spec.renewTime`, and the API server notes when it got that, to the second. Undefined where the lease
 * does not tell both. Pure.
 */
export function nodeClock(lease: RawObject): NodeClock | undefined {
  const { metadata, spec } = lease as unknown as Lease;
  const received = metadata.managedFields?.find(({ manager }) => manager?.startsWith("kubelet"));
  const renewed = Date.parse(spec?.renewTime ?? "");
  const at = Date.parse(received?.time ?? "");
  if (Number.isNaN(renewed) || Number.isNaN(at)) return undefined;
  // What is cut to the second is half a second later on average.
  return { node: metadata.name, ahead: renewed - (at + 500) };
}

interface Lease {
  readonly metadata: {
    readonly name: string;
    readonly managedFields?: readonly { readonly manager?: string; readonly time?: string }[];
  };
  readonly spec?: { readonly renewTime?: string };
}
