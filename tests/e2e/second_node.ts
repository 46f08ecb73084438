/** A second node beside the private node in which the tests run, and the switch between them. */
import { ip, PRIVATE_CGROUPS } from "../../mod/simulator/private_node.ts";
import { MAIN_NETWORK } from "../support/runtime_daemon.ts";
import { SERVICE, SERVICES } from "./control_plane.ts";
import { type NodePlace, placeOf, runOn } from "./node_place.ts";

/** Of both nodes: what the link carries. */
const MTU = "9000";

/** Of the nodes, and of the pods on each. */
const NODE_SUBNET = "192.0.2.0/24";
const POD_SUBNETS = ["10.77.0.0/16", "10.78.0.0/16"] as const;

/**
 * The cluster's own network on one of two nodes: its pods reach the API server, and nodes reach the pods
 * of the other.
 */
export function podNetwork(node: number): object {
  const [bridge] = MAIN_NETWORK.plugins;
  const ipam = {
    type: "host-local",
    ranges: [[{ subnet: POD_SUBNETS[node] }]],
    routes: [{ dst: SERVICES }, { dst: NODE_SUBNET }],
  };
  return { ...MAIN_NETWORK, plugins: [{ ...bridge, ipam }] };
}

/** A new sysfs shows the interfaces of the node; the cgroups are carried over. */
const FURNISH = `mount -t sysfs sysfs /sys && mount --rbind ${PRIVATE_CGROUPS} /sys/fs/cgroup`;

/**
 * Makes a node with namespaces for network and mounts of its own, and joins both by a bridge in a third
 * network namespace, as a switch would. All of it ends with the private node.
 *
 * Both share the private node's process identifiers: what runs on a node gets its signals directly.
 *
 * @param first the first node's address
 * @param address the second's, in 192.0.2.0/24
 */
export async function openSecondNode(
  { first, address }: { readonly first: string; readonly address: string },
): Promise<NodePlace> {
  const [node, switcher] = await Promise.all([hold(["--mount"], FURNISH), hold([], "true")]);
  await runOn(switcher.place, ..."ip link add switch0 mtu 9000 type bridge".split(" "));
  await runOn(switcher.place, ..."ip link set switch0 up".split(" "));
  await ip(["link", "set", "uplink", "netns", switcher.pid]);
  await ip(["link", "set", "eth0", "mtu", MTU]);
  await ip([
    ...["link", "add", "port2", "netns", switcher.pid, "type", "veth"],
    ...["peer", "name", "eth0", "netns", node.pid],
  ]);
  for (const port of ["uplink", "port2"]) {
    await runOn(switcher.place, "ip", "link", "set", port, "mtu", MTU, "master", "switch0", "up");
  }
  for (
    const line of [
      "link set lo up",
      `link set eth0 mtu ${MTU} up`,
      `address add ${address}/24 dev eth0`,
      `route add ${SERVICE} via ${first}`,
      `route add ${POD_SUBNETS[0]} via ${first}`,
    ]
  ) await runOn(node.place, "ip", ...line.split(" "));
  await ip(["route", "add", POD_SUBNETS[1], "via", address]);
  return node.place;
}

interface Held {
  readonly pid: string;
  readonly place: NodePlace;
}

/** New namespaces with a process that holds them, once it has done what the shell is told. */
async function hold(namespaces: readonly string[], script: string): Promise<Held> {
  const process = new Deno.Command("unshare", {
    args: ["--net", ...namespaces, "sh", "-ec", `${script}; echo; exec sleep infinity`],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = process.stdout.getReader();
  const { done } = await reader.read();
  if (done) throw new Error("the second node's namespaces cannot be made");
  await reader.cancel();
  process.unref();
  return { pid: String(process.pid), place: placeOf(process.pid) };
}
