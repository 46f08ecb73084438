import { join } from "node:path";
import type { SimulatedNode } from "../simulator/node.ts";
import { ip } from "../simulator/private_node.ts";

/** The parts of the node's state that have changed. */
export async function leftovers(
  paths: SimulatedNode["paths"],
  linksBefore: readonly string[],
): Promise<string[]> {
  const left = (await links()).filter((link) => !linksBefore.includes(link))
    .map((link) => `the interface ${link} on the node`);
  const folders = {
    "the network namespace": "/run/netns",
    "the record": join(paths.stateDir, "claims"),
    "the attachment record": join(paths.stateDir, "attachments"),
    "the CDI file": paths.cdiDir,
    "the DRA socket": join(paths.kubeletDir, "plugins_registry"),
  };
  for (const [what, folder] of Object.entries(folders)) {
    const found = await names(folder);
    // The agent remembers claims for a while after they were unprepared.
    left.push(
      ...found.filter((name) => !name.endsWith(".departed")).map((name) => `${what} ${name}`),
    );
  }
  for (const network of await names("/var/lib/cni/networks")) {
    for (const name of await names(join("/var/lib/cni/networks", network))) {
      // host-local never removes the last address that it assigned, nor its lock.
      if (name === "lock" || name.startsWith("last_reserved_ip")) continue;
      left.push(`the lease ${name} of network ${network}`);
    }
  }
  return left;
}

/** The node's interfaces except bridges without ports: the plugin bridge never removes the one that it made. */
export async function links(): Promise<string[]> {
  const all = JSON.parse(await ip(["-j", "-d", "link", "show"])) as {
    readonly ifname: string;
    readonly master?: string;
    readonly linkinfo?: { readonly info_kind?: string };
  }[];
  const inUse = new Set(all.map(({ master }) => master));
  return all.filter(({ ifname, linkinfo }) => linkinfo?.info_kind !== "bridge" || inUse.has(ifname))
    .map(({ ifname }) => ifname);
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
