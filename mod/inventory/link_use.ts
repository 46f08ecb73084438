import type { NodeAddress } from "../claim/policy_checks.ts";
import type { Link } from "./link.ts";

/** Why the node needs a link, as text: its addresses, the interfaces on top of it, what it is part of. */
export function useOf(
  name: string,
  { links, addresses }: {
    readonly links: readonly Link[];
    readonly addresses: readonly NodeAddress[];
  },
): string | undefined {
  const own = addresses.find(({ interfaceName }) => interfaceName === name);
  if (own) return `the node has the address ${own.address} on it`;
  const link = links.find((each) => each.name === name);
  if (!link) return undefined;
  if (link.port) return "it is part of a bridge, a bond or a virtual switch";
  // A veth names its peer, which is not an interface below it.
  const upper = links.find(({ index, type, peer }) =>
    type !== "veth" && peer === link.index && index !== link.index
  );
  return upper && `${upper.name} is built on it`;
}
