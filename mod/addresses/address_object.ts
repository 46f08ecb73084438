import type { ClaimRef } from "../claim/attachment.ts";
export const ADDRESS_PATH = "/apis/dra.networking/v1alpha1/networkaddresses";
export interface AddressOwner {
  readonly node: string;
  readonly claim: ClaimRef;
  readonly pod: ClaimRef;
  readonly containerID: string;
  readonly ifName: string;
}
export interface NetworkAddress {
  readonly uid?: string;
  readonly network: string;
  readonly address: string;
  readonly owner: AddressOwner;
}
export function addressObjectName(network: string, address: string): string {
  return `${network}.${address.replaceAll(/[.:]/g, "-")}`;
}
export function toObject({ network, address, owner }: NetworkAddress): Record<string, unknown> {
  return {
    apiVersion: "dra.networking/v1alpha1",
    kind: "NetworkAddress",
    metadata: { name: addressObjectName(network, address) },
    spec: { network, address, ...owner },
  };
}
// deno-lint-ignore no-explicit-any
export function parseNetworkAddress(value: any): NetworkAddress {
  const { network, address, ...owner } = value.spec;
  return { uid: value.metadata.uid, network, address, owner };
}
