import type { DeviceView } from "../../cluster/picture.ts";
import { type AskedNetwork, askedNetworks } from "../asked_networks.ts";
import type { Checked, Finding, Unknown } from "../finding.ts";
import { matchingDevices } from "../matching_devices.ts";
import { counted, nodesText } from "../nodes_text.ts";
import type { ClusterSeen } from "../seen.ts";

/** A node publishes no more of its plugins than this. */
const MOST_PLUGINS = 21;

/**
 * Whether the nodes have the plugins of all networks of classes and templates, on all nodes where their
 * pods can land: agents publish plugins as the attributes `plugin_…` of devices.
 */
export function checkPlugins(seen: ClusterSeen): Checked {
  const { whole: { devices }, objects, node } = seen;
  const isRead = [objects.ResourceSlice, objects.DeviceClass].every(({ state }) =>
    state === "read"
  );
  if (!isRead) {
    const why = "ResourceSlices or DeviceClasses cannot be read";
    return { findings: [], unknown: [{ what: "the plugins on nodes", why }] };
  }
  const findings: Finding[] = [];
  const unknown: Unknown[] = [];
  const asked = askedNetworks(seen);
  const here = devices.filter((device) => node === undefined || device.node === node);
  for (const each of asked) {
    const { by, network, ways } = each;
    const matching = matchingDevices(here, ways);
    if (matching.state === "unknown") {
      unknown.push({ what: `the nodes on which pods with ${by} can land`, why: matching.why });
    } else if (matching.devices.length === 0 && node === undefined && devices.length > 0) {
      findings.push({
        level: "note",
        where: by,
        what: `no device of any node satisfies its selectors, so that no pod gets the network ` +
          JSON.stringify(network.name),
        whatToDo: "compare the selectors with the devices: kubectl network-dra devices -o wide",
      });
    } else if (network.source === "node") {
      unknown.push({
        what: `whether nodes have the administrator's network ${JSON.stringify(network.name)}, ` +
          `which ${by} names`,
        why: "agents do not publish which of these networks they have",
      });
    } else {
      const { finding, cut } = missingPlugins(each, matching.devices);
      if (finding) findings.push(finding);
      if (cut.length > 0) {
        unknown.push({
          what: `some plugins of ${by} on ${nodesText(cut)}`,
          why: `a node publishes ${MOST_PLUGINS} plugins and has more`,
        });
      }
    }
  }
  return {
    findings,
    unknown,
    well: `nodes have the plugins of ${counted(asked.length, "network")} of classes and templates`,
  };
}

function missingPlugins(
  { by, network: { name, plugins, ipam = [] } }: AskedNetwork,
  devices: readonly DeviceView[],
): { readonly finding?: Finding; readonly cut: readonly string[] } {
  const wanted = [...new Set([...plugins, ...ipam])];
  const missing = new Map<string, readonly string[]>();
  const cut = new Set<string>();
  const nodes = new Set<string>();
  for (const { node = "of an unknown name", attributes } of devices) {
    nodes.add(node);
    const lacking = wanted.filter((type) => attributes[attributeOf(type)] !== true);
    if (lacking.length === 0) continue;
    const published = Object.keys(attributes).filter((each) => each.startsWith("plugin_"));
    if (published.length >= MOST_PLUGINS) cut.add(node);
    else missing.set(node, lacking);
  }
  if (missing.size === 0) return { cut: [...cut] };
  const types = [...new Set([...missing.values()].flat())];
  const everywhere = missing.size === nodes.size;
  const finding: Finding = {
    level: everywhere ? "error" : "warning",
    where: nodesText([...missing.keys()]),
    what: `the CNI plugin ${types.join(", ")} is missing, which the network ` +
      `${JSON.stringify(name)} of ${by} needs: ` +
      (everywhere ? "no pod gets it" : "a pod with it that lands there does not start"),
    whatToDo: "install the plugin there (the chart's value cniPlugins does), or have the class " +
      `select other nodes: device.attributes["${devices[0]!.driver}"].?${
        attributeOf(types[0]!)
      }.orValue(false)`,
  };
  return { finding, cut: [...cut] };
}

/** `plugin_host_device` for the plugin host-device. */
function attributeOf(type: string): string {
  return `plugin_${type.replaceAll(/[-.]/g, "_")}`;
}
