import type { ConfiguredNetwork } from "../../cluster/objects.ts";
import type { DeviceView } from "../../cluster/picture.ts";
import { askedNetworks } from "../asked_networks.ts";
import type { Checked, Finding } from "../finding.ts";
import { matchingDevices } from "../matching_devices.ts";
import type { ClusterSeen } from "../seen.ts";

/** Plugins whose networks do not leave the node, or have an MTU of their own. */
const NODE_LOCAL: readonly string[] = ["bridge", "ptp", "dummy", "loopback", "tap"];

/** The interface below a network on a node. */
interface Below {
  readonly interface: string;
  readonly mtu: number;
}

/** Whether the interfaces below each network have the same MTU on all nodes. */
export function checkMtu(seen: ClusterSeen): Checked {
  const { whole: picture, objects, node } = seen;
  if (objects.ResourceSlice.state !== "read") {
    const why = "ResourceSlices cannot be read";
    return { findings: [], unknown: [{ what: "the MTU of interfaces", why }] };
  }
  const interfaces = new Interfaces(picture.devices);
  const networks = new Map<string, Map<string, Below>>();
  const add = (network: ConfiguredNetwork, device: DeviceView): void => {
    const below = interfaces.below(network, device);
    if (!below || device.node === undefined) return;
    const nodes = networks.get(network.name) ?? new Map<string, Below>();
    networks.set(network.name, nodes.set(device.node, below));
  };
  for (const { attachments } of picture.claims) {
    for (const { network, driver, pool, device } of attachments) {
      const found = interfaces.device(driver, pool, device);
      if (network && found) add(network, found);
    }
  }
  for (const { network, ways } of askedNetworks(seen)) {
    // Without a parent the scheduler chooses one of several interfaces, of which nothing is known.
    if (network.parent === undefined) continue;
    const matching = matchingDevices(picture.devices, ways);
    if (matching.state === "known") { for (const device of matching.devices) add(network, device); }
  }
  const findings = [...networks].flatMap(([name, nodes]): Finding[] => {
    if (new Set([...nodes.values()].map(({ mtu }) => mtu)).size < 2) return [];
    if (node !== undefined && !nodes.has(node)) return [];
    return [mismatch(name, nodes)];
  });
  return { findings, unknown: [], well: "the interfaces below a network have one MTU" };
}

function mismatch(name: string, nodes: ReadonlyMap<string, Below>): Finding {
  const byMtu = Map.groupBy(nodes, ([, { mtu }]) => mtu);
  const parts = [...byMtu].toSorted(([one], [other]) => one - other).map(([mtu, all]) => {
    const places = all.slice(0, 3).map(([node, below]) => `${node} (${below.interface})`);
    const more = all.length > 3 ? ` and ${all.length - 3} more` : "";
    return `${mtu} on ${places.join(", ")}${more}`;
  });
  return {
    level: "warning",
    where: `network ${name}`,
    what: `the interfaces below it differ in MTU, so that large packets between nodes are lost: ` +
      parts.join("; "),
    whatToDo:
      "give the interfaces the same MTU, or the plugin's configuration an mtu that all have",
  };
}

/** The devices by name, and the interfaces of nodes. */
class Interfaces {
  readonly #devices = new Map<string, DeviceView>();
  readonly #interfaces = new Map<string, DeviceView>();

  constructor(devices: readonly DeviceView[]) {
    for (const device of devices) {
      const { driver, pool, name, node, attributes } = device;
      this.#devices.set(`${driver} ${pool} ${name}`, device);
      if (attributes.interface !== undefined) {
        this.#interfaces.set(`${node} ${attributes.interface}`, device);
      }
    }
  }

  device(driver: string, pool: string, name: string): DeviceView | undefined {
    return this.#devices.get(`${driver} ${pool} ${name}`);
  }

  /** Undefined where the network has none, or brings its own MTU. */
  below(
    { parent, mtu, plugins: [first = ""] }: ConfiguredNetwork,
    device: DeviceView,
  ): Below | undefined {
    if (mtu !== undefined || NODE_LOCAL.includes(first)) return undefined;
    const found = parent === undefined ? device : this.#interfaces.get(`${device.node} ${parent}`);
    const { interface: name, mtu: own } = found?.attributes ?? {};
    if (typeof name !== "string" || typeof own !== "number") return undefined;
    return { interface: name, mtu: own };
  }
}
