import { ip } from "../../mod/simulator/private_node.ts";
import type { Sandbox } from "./pods.ts";

export interface Link {
  readonly mac: string;
  /** Its IPv4 address with the prefix's length; none yet where undefined. */
  readonly address?: string;
  /** The bridge of which it is a port. */
  readonly master?: string;
}

/** The interfaces in a sandbox's network namespace, by name; none where that is gone. */
export async function linksOf({ netns }: Sandbox): Promise<ReadonlyMap<string, Link>> {
  if (!netns) return new Map();
  try {
    return parse(await ip(["-n", netns.split("/").at(-1)!, "-j", "address", "show"]));
  } catch {
    return new Map();
  }
}

/** The node's own interfaces, by name. */
export async function nodeLinks(): Promise<ReadonlyMap<string, Link>> {
  return parse(await ip(["-j", "address", "show"]));
}

function parse(json: string): Map<string, Link> {
  const links = JSON.parse(json) as {
    readonly ifname: string;
    readonly address?: string;
    readonly master?: string;
    readonly addr_info: readonly { readonly family: string; local: string; prefixlen: number }[];
  }[];
  return new Map(links.map(({ ifname, address = "", master, addr_info }) => {
    const found = addr_info.find(({ family }) => family === "inet");
    return [ifname, {
      mac: address,
      ...(master && { master }),
      ...(found && { address: `${found.local}/${found.prefixlen}` }),
    }];
  }));
}
