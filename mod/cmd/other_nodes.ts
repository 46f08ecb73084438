import { devicesOf } from "../inventory/link_devices.ts";
import { offeredLinks } from "../inventory/offered_links.ts";
import { sliceDevices } from "../kube/slice_devices.ts";
import type { SimulatedNode } from "../simulator/node.ts";
import { type DescribedNode, linksOf } from "./node_file.ts";
import type { RunConfig } from "./run_config.ts";

/** Publishes the devices of the other nodes, which have no agent here, as their agents would. */
export async function publishOtherNodes(
  nodes: readonly DescribedNode[],
  { node, config, pluginTypes }: {
    readonly node: SimulatedNode;
    readonly config: RunConfig;
    /** The CNI plugins of all nodes. */
    readonly pluginTypes: readonly string[];
  },
): Promise<void> {
  const { driverName: driver, attachmentsPerInterface: attachments, interfaces } = config;
  for (const described of nodes) {
    const { name } = described;
    node.addNode(name);
    const links = offeredLinks(linksOf(described), interfaces);
    const devices = devicesOf(links, pluginTypes).map((device) => ({ ...device, allocated: [] }));
    const served = { sharing: true, taints: true };
    const slices = sliceDevices(devices, { driver, attachments, copies: 1, served });
    for (const published of slices) {
      await node.publish({
        metadata: { generateName: `${driver}-${name}-` },
        spec: {
          driver,
          nodeName: name,
          pool: { name, generation: 1, resourceSliceCount: slices.length },
          devices: published,
        },
      });
    }
  }
}
