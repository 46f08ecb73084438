import { join } from "node:path";
import { ip } from "../simulator/private_node.ts";
import type { DescribedInterface } from "./node_file.ts";

/** ARPHRD_ETHER (linux/if_arp.h); IFF_UP and IFF_BROADCAST (linux/if.h). */
const ETHERNET = "1";
const FLAGS = { up: "0x1003", down: "0x1002" };

/** The name that every simulated node has. */
const ETH0: DescribedInterface = { name: "eth0", type: "physical", up: true, mtu: 1500 };

/**
 * Creates the described interfaces: each is one end of a veth pair, and a folder that looks like sysfs
 * contains its description, which the agent reads instead.
 *
 * @param folder where the files go; for `--sysfs-dir`
 */
export async function makeDescribedInterfaces(
  interfaces: readonly DescribedInterface[],
  folder: string,
): Promise<void> {
  await Deno.mkdir(join(folder, "class/net"), { recursive: true });
  const all = interfaces.some(({ name }) => name === "eth0") ? interfaces : [ETH0, ...interfaces];
  for (const [i, each] of all.entries()) {
    await makeLink(each, `wire${i}`);
    await describe(each, folder);
  }
}

/** Bridges are real: pods are connected to them. */
async function makeLink(
  { name, type, mac, mtu, up }: DescribedInterface,
  peer: string,
): Promise<void> {
  // The node has an eth0 from the start.
  if (name === "eth0") {
    await ip(["link", "set", name, "down"]);
  } else if (type === "bridge") {
    await ip(["link", "add", name, "type", "bridge"]);
  } else {
    await ip(["link", "add", name, "type", "veth", "peer", "name", peer]);
    await ip(["link", "set", peer, "mtu", `${mtu}`, "up"]);
  }
  if (mac !== undefined) await ip(["link", "set", name, "address", mac]);
  await ip(["link", "set", name, "mtu", `${mtu}`]);
  if (up) await ip(["link", "set", name, "up"]);
}

async function describe(each: DescribedInterface, folder: string): Promise<void> {
  const { name, type, up, mtu, speed, numaNode, pciBusId } = each;
  const [{ ifindex, address }] = JSON.parse(await ip(["-j", "link", "show", name]));
  const root = pciBusId && `devices/pci${pciBusId.slice(0, 7)}/${pciBusId}`;
  const parent = root ?? (type === "physical" ? "devices/platform" : "devices/virtual");
  const path = join(folder, parent, "net", name);
  await Deno.mkdir(path, { recursive: true });
  if (root && numaNode !== undefined) await write(join(folder, root, "numa_node"), numaNode);
  const files: Readonly<Record<string, string | number>> = {
    address,
    flags: up ? FLAGS.up : FLAGS.down,
    ifindex,
    iflink: ifindex,
    mtu,
    operstate: up ? "up" : "down",
    type: ETHERNET,
    uevent: type === "physical" ? `INTERFACE=${name}` : `DEVTYPE=${type}`,
    ...(speed !== undefined && { speed }),
  };
  for (const [file, text] of Object.entries(files)) await write(join(path, file), text);
  await Deno.symlink(path, join(folder, "class/net", name));
}

async function write(path: string, text: string | number): Promise<void> {
  await Deno.writeTextFile(path, `${text}\n`);
}
