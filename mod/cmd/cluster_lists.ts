import type { Kind } from "../cluster/objects.ts";
import { withCluster } from "./cluster_access.ts";
import { listDocument, printAs, sayUnread } from "./cluster_output.ts";
import { deviceLines, networkLines, podLines } from "./cluster_tables.ts";
import { DEVICES, NETWORKS, PODS } from "./commands/cluster.ts";
import { readCommandLine } from "./flag_values.ts";

const env = (name: string) => Deno.env.get(name);

const POD_KINDS: readonly Kind[] = [
  "Pod",
  "ResourceClaim",
  "ResourceClaimTemplate",
  "DeviceClass",
  "ResourceSlice",
  "Event",
  "AgentPod",
];

/** `network-dra pods`: which pod has which network. Gives the exit code. */
export function pods(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(PODS, argv, env);
  return withCluster(flags, async (cluster) => {
    const namespace = flags.allNamespaces ? undefined : flags.namespace ?? cluster.namespace;
    const picture = await cluster.look({
      kinds: POD_KINDS,
      needed: ["Pod"],
      ...(namespace !== undefined && { namespace }),
    });
    const all = picture.pods.toSorted((one, other) => keyOf(one) < keyOf(other) ? -1 : 1);
    printAs(flags.output, {
      document: () => listDocument(all, picture),
      lines: (wide) => {
        if (all.length > 0) {
          const now = Date.parse(picture.takenAt);
          return podLines(all, { wide, namespaced: namespace !== undefined, now });
        }
        const where = namespace === undefined ? "the cluster" : `the namespace ${namespace}`;
        return [`No pod of ${where} uses claims of ${picture.drivers.join(", ")}.`];
      },
    });
    sayUnread(picture);
    return 0;
  });
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

/** `network-dra networks`: the networks and who uses them. Gives the exit code. */
export function networks(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(NETWORKS, argv, env);
  return withCluster(flags, async (cluster) => {
    const picture = await cluster.look({
      kinds: ["ResourceClaim", "DeviceClass", "ResourceSlice", "AgentPod", "Event"],
      needed: ["ResourceClaim", "DeviceClass"],
    });
    printAs(flags.output, {
      document: () => listDocument(picture.networks, picture),
      lines: (wide) =>
        picture.networks.length > 0
          ? networkLines(picture.networks, wide)
          : ["No claim and no DeviceClass names a network."],
    });
    sayUnread(picture);
    return 0;
  });
}

/** `network-dra devices`: the devices and their use. Gives the exit code. */
export function devices(argv: readonly string[]): Promise<number> {
  const { flags } = readCommandLine(DEVICES, argv, env);
  return withCluster(flags, async (cluster) => {
    const picture = await cluster.look({
      kinds: ["ResourceSlice", "ResourceClaim", "AgentPod"],
      needed: ["ResourceSlice"],
    });
    const { node } = flags;
    const found = picture.devices.filter((each) => node === undefined || each.node === node);
    printAs(flags.output, {
      document: () => listDocument(found, picture),
      lines: (wide) => {
        if (found.length > 0) return deviceLines(found, wide);
        const where = node === undefined ? "No node" : `The node ${node}`;
        return [`${where} has no devices of ${picture.drivers.join(", ")}.`];
      },
    });
    sayUnread(picture);
    return 0;
  });
}
