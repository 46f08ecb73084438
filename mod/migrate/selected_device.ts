import type { Fields } from "../claim/field.ts";
import type { Definition } from "./definition.ts";
import { type DeviceSelectors, plainSettings, pluginsOf } from "./obstacles.ts";

/** A definition whose device the scheduler chooses instead of a device plugin. */
export interface SelectedDevice {
  /** Its configuration names no device: the agent fills in the one that is allocated. */
  readonly definition: Definition;
  /** CEL, of the agent's devices. */
  readonly expression: string;
  readonly resourceName: string;
  readonly decisions: readonly string[];
}

/** Plugins that get the device of a device plugin, and attach it with host-device as well. */
const ATTACH_A_DEVICE = ["sriov", "host-device"];
/** How host-device is told a device. */
const DEVICE_KEYS = ["deviceID", "device", "hwaddr", "kernelpath", "pciBusID", "runtimeConfig"];

/** Undefined where no device plugin chooses the device, or none that there is a selector for. */
export function selectedDevice(
  definition: Definition,
  selectors: DeviceSelectors,
): SelectedDevice | undefined {
  const { config, resourceName } = definition;
  const expression = resourceName === undefined ? undefined : selectors.get(resourceName);
  if (resourceName === undefined || expression === undefined || config.how !== "inline") return;
  const { value } = config;
  const isAttached = ({ type }: Fields) => ATTACH_A_DEVICE.includes(`${type}`);
  if (!pluginsOf(value).some(isAttached)) return;
  const plugins = pluginsOf(value).map((plugin) =>
    isAttached(plugin) ? withoutDevice(plugin) : plugin
  );
  const moved = "plugins" in value ? { ...value, plugins } : plugins[0]!;
  const sriov = pluginsOf(value).find(({ type }) => type === "sriov");
  const set = sriov ? plainSettings(sriov) : [];
  return {
    definition: { ...definition, config: { how: "inline", value: moved } },
    expression,
    resourceName,
    decisions: sriov
      ? [
        "The plugin was sriov; host-device moves the virtual function that the scheduler chooses into " +
        "the pod. It must have a network interface on the node (not vfio), and be no device of the " +
        `device plugin's resource ${resourceName} any more.`,
        ...set.length === 0 ? [] : [
          `The plugin sriov set these on the virtual function: ${
            set.join(", ")
          }. Make sure that the ` +
          "functions have them on the node.",
        ],
      ]
      : [`No device of the selector may belong to the device plugin's resource ${resourceName}.`],
  };
}

/** What host-device and sriov have in common. */
function withoutDevice(plugin: Fields): Fields {
  const plain = new Set(plainSettings(plugin).map((each) => each.split(" ")[0]));
  const kept = Object.entries(plugin).filter(([key]) =>
    !DEVICE_KEYS.includes(key) && !(plugin.type === "sriov" && plain.has(key))
  );
  return { ...Object.fromEntries(kept), type: "host-device" };
}
