import type { NodeAddress } from "../claim/policy_checks.ts";

/** Addresses of the kernel's own making, which every interface has. */
const OF_ONE_LINK = /^(fe[89ab][0-9a-f]:|169\.254\.)/i;

/** The node's own addresses as they are now. */
export function readNodeAddresses(): NodeAddress[] {
  return Deno.networkInterfaces().flatMap(({ name, cidr }) => {
    const [address = "", prefix] = cidr.split("/");
    if (OF_ONE_LINK.test(address)) return [];
    return [{ interfaceName: name, address, prefix: Number(prefix) }];
  });
}
