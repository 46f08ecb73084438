import { FieldError, type Fields } from "../claim/field.ts";
import type { Definition } from "./definition.ts";

/** Interface plugins that are told their device by Multus, from the device plugin's allocation. */
const VIRTUAL_FUNCTIONS = ["sriov", "ib-sriov", "ib-sriov-cni"];
const OTHERS_WITH_DEVICES = ["ovs", "accelerated-bridge", "vdpa"];
/** Plugins that read Multus' annotations of the pod, or call what they say. */
const READ_ANNOTATIONS = ["ovn-k8s-cni-overlay", "kube-ovn", "multus", "multus-shim"];
/** What may stand beside a virtual function that host-device moves into the pod. */
const KEPT_OF_SRIOV = ["cniVersion", "name", "type", "ipam", "capabilities", "logLevel", "logFile"];

/** What sriov sets on the virtual function when it is told nothing else, or what changes nothing. */
const PLAIN_OF_SRIOV: Readonly<Record<string, unknown>> = {
  vlan: 0,
  vlanQoS: 0,
  link_state: "auto",
  max_tx_rate: 0,
  min_tx_rate: 0,
};

/** Settings of sriov that a virtual function has by itself, as `vlan 0`. */
export function plainSettings(plugin: Fields): string[] {
  return Object.entries(plugin).filter(([key, value]) => PLAIN_OF_SRIOV[key] === value)
    .map(([key, value]) => `${key} ${value}`);
}

/** The CEL expressions that stand for the extended resources of device plugins. */
export type DeviceSelectors = ReadonlyMap<string, string>;

/** The plugins of a configuration, which may be one plugin's. */
export function pluginsOf(config: Fields): readonly Fields[] {
  return "plugins" in config ? config.plugins as readonly Fields[] : [config];
}

/**
 * Asserts that a network works without Multus.
 *
 * @throws FieldError that says why it does not, and what to do
 */
export function assertMovable(definition: Definition, selectors: DeviceSelectors): void {
  if (definition.config.how !== "inline") return;
  const { value } = definition.config;
  for (const [i, plugin] of pluginsOf(value).entries()) {
    const at = "plugins" in value ? `plugins[${i}].` : "";
    const refuse = (field: string, problem: string): never => {
      throw new FieldError("spec.config", `${at}${field}: ${problem}`);
    };
    const type = `${plugin.type}`;
    const ipam = `${(plugin.ipam as Fields | undefined)?.type ?? ""}`;
    if (READ_ANNOTATIONS.includes(type)) {
      refuse(
        "type",
        `the plugin "${type}" reads Multus' annotation of the pod: leave it with Multus`,
      );
    }
    if (ipam === "whereabouts" && i > 0) {
      refuse(
        "ipam.type",
        '"whereabouts" must be of the first plugin: leave the network with Multus',
      );
    }
    if (VIRTUAL_FUNCTIONS.includes(type)) assertSelected(plugin, { definition, selectors, refuse });
    if (OTHERS_WITH_DEVICES.includes(type) && definition.resourceName !== undefined) {
      refuse("type", `the plugin "${type}" is told its device by Multus: leave it with Multus`);
    }
    if (type === "host-device" && isUnselected(definition, selectors)) {
      refuse("type", howToSelect(definition.resourceName!));
    }
  }
}

function assertSelected(
  plugin: Fields,
  { definition: { resourceName }, selectors, refuse }: {
    readonly definition: Definition;
    readonly selectors: DeviceSelectors;
    readonly refuse: (field: string, problem: string) => never;
  },
): void {
  if (plugin.type !== "sriov") {
    refuse(
      "type",
      `the plugin "${plugin.type}" is told its device by Multus: leave it with Multus`,
    );
  }
  if (resourceName === undefined) {
    // With the device written down, it works as it did.
    if (plugin.deviceID === undefined) {
      refuse("deviceID", "is missing, and the definition has no resourceName: it does not attach");
    }
    return;
  }
  const lost = Object.keys(plugin).find((key) =>
    !KEPT_OF_SRIOV.includes(key) &&
    (PLAIN_OF_SRIOV[key] === undefined || PLAIN_OF_SRIOV[key] !== plugin[key])
  );
  if (lost !== undefined) {
    refuse(
      lost,
      "only the plugin sriov can set it, and the agent does not tell that plugin a device: leave the " +
        "network with Multus, or set it on the node when the virtual functions are created",
    );
  }
  if (!selectors.has(resourceName)) refuse("type", howToSelect(resourceName));
}

function isUnselected({ resourceName }: Definition, selectors: DeviceSelectors): boolean {
  return resourceName !== undefined && !selectors.has(resourceName);
}

function howToSelect(resourceName: string): string {
  return `the resource ${resourceName} chooses the device: say which of the agent's devices it stands ` +
    `for, as "${resourceName}: EXPRESSION" in a file for --selectors`;
}
