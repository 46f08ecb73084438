import type { DeviceAttribute, NodeDevice } from "../agent/model.ts";
import { CNI_DEVICE, deviceName } from "../claim/device_names.ts";
import type { Link } from "./link.ts";

type Attributes = Record<string, DeviceAttribute>;

/** A device has at most 32 attributes and capacities; ten describe the link, one is the capacity. */
const MOST_PLUGINS = 21;
/** A name is a C identifier of at most this. */
const LONGEST_NAME = 32;

/** What claims ask for most; first when there are more plugins than attributes. */
const COMMON_PLUGINS = [
  "macvlan",
  "ipvlan",
  "vlan",
  "bridge",
  "host-device",
  "ptp",
  "sriov",
  "dhcp",
  "host-local",
  "static",
  "tuning",
];

/** The device `cni` and one for each link, with the CNI plugins that the node can run. */
export function devicesOf(links: readonly Link[], plugins: readonly string[]): NodeDevice[] {
  const runnable = pluginAttributes(plugins);
  return [
    { name: CNI_DEVICE, attributes: { type: { string: "cni" }, ...runnable }, down: false },
    ...links.map((link) => ({
      name: deviceName(link.name),
      attributes: { ...linkAttributes(link), ...runnable },
      down: !link.up,
    })),
  ];
}

function linkAttributes(link: Link): Attributes {
  return {
    interface: { string: link.name },
    type: { string: link.type },
    state: { string: link.up ? "up" : "down" },
    mtu: { int: link.mtu },
    virtual: { bool: link.virtual },
    ...(link.mac !== undefined && { mac: { string: link.mac } }),
    ...(link.speed !== undefined && { speed: { int: link.speed } }),
    ...(link.numaNode !== undefined && { numaNode: { int: link.numaNode } }),
    ...(link.pciBusId !== undefined &&
      { "resource.kubernetes.io/pciBusID": { string: link.pciBusId } }),
    ...(link.pcieRoot !== undefined &&
      { "resource.kubernetes.io/pcieRoot": { string: link.pcieRoot } }),
  };
}

/** `plugin_host_device: true` for the plugin host-device: an attribute is a C identifier. */
function pluginAttributes(plugins: readonly string[]): Attributes {
  const common = COMMON_PLUGINS.filter((type) => plugins.includes(type));
  const others = plugins.filter((type) => !COMMON_PLUGINS.includes(type)).toSorted();
  const names = [...common, ...others].map((type) => `plugin_${type.replaceAll(/[-.]/g, "_")}`)
    .filter((name) => /^[A-Za-z0-9_]+$/.test(name) && name.length <= LONGEST_NAME);
  const chosen = [...new Set(names)].slice(0, MOST_PLUGINS).toSorted();
  return Object.fromEntries(chosen.map((name) => [name, { bool: true }]));
}
