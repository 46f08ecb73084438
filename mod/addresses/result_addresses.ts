/** Pure: the addresses in what plugins return. */
import type { CniResult } from "../agent/model.ts";
import { canonicalAddress } from "./ip_range.ts";
import { type NetworkAddresses, poolOf } from "./pools.ts";

/** The addresses in a result that are in pools of the network, as the names of objects have them. */
export function addressesIn({ ips }: CniResult, pools: NetworkAddresses): string[] {
  if (!Array.isArray(ips)) return [];
  return ips.flatMap((each) => {
    const text = (each as { readonly address?: unknown } | null)?.address;
    if (typeof text !== "string") return [];
    const address = canonicalAddress(text.split("/")[0]!);
    return address !== undefined && poolOf(pools, address) ? [address] : [];
  });
}
