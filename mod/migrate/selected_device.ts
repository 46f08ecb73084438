import type { Fields } from "../claim/field.ts";
import type { Definition } from "./definition.ts";
import { type DeviceSelectors, pluginsOf } from "./obstacles.ts";

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
    isAttached(plugin)
      ? {
        ...Object.fromEntries(Object.entries(plugin).filter(([key]) => !DEVICE_KEYS.includes(key))),
        type: "host-device",
      }
      : plugin
  );
  const moved = "plugins" in value ? { ...value, plugins } : plugins[0]!;
  const wasSriov = pluginsOf(value).some(({ type }) => type === "sriov");
  return {
    definition: { ...definition, config: { how: "inline", value: moved } },
    expression,
    resourceName,
    decisions: wasSriov
      ? [
        "The plugin was sriov; host-device moves the virtual function that the scheduler chooses into " +
        "the pod. It must have a network interface on the node (not vfio), and be no device of the " +
        `device plugin's resource ${resourceName} any more.`,
      ]
      : [`No device of the selector may belong to the device plugin's resource ${resourceName}.`],
  };
}
