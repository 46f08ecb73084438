import type { DeviceAttribute, NodeDevice, OfferedDevice } from "../agent/model.ts";
import { copyName, originalDevice } from "../claim/device_names.ts";
import type { SliceDevice } from "./resource_slice.ts";

/** What of a device the API server keeps; fields of disabled features are dropped silently. */
export interface ServedFeatures {
  /** `allowMultipleAllocations` (KEP-5075, on from 1.36). */
  readonly sharing: boolean;
  /** Device taints (KEP-5055, on from 1.36). */
  readonly taints: boolean;
}

export interface SharingOptions {
  readonly driver: string;
  /** Attachments that one interface takes. */
  readonly attachments: number;
  /** Numbered copies that replace it where devices cannot be shared. */
  readonly copies: number;
}

/** The API server allows this many devices in a slice, */
const MOST_DEVICES = 128;
/** and this many when one has a taint. */
const MOST_TAINTED = 64;

/** The devices as the API server in question can keep them, in slices. At least one slice. */
export function sliceDevices(
  devices: readonly OfferedDevice[],
  options: SharingOptions & { readonly served: ServedFeatures },
): SliceDevice[][] {
  const all = devices.flatMap((device) => shapes(device, options));
  const size = all.some(({ taints }) => taints) ? MOST_TAINTED : MOST_DEVICES;
  const slices: SliceDevice[][] = [[]];
  for (const device of all) {
    if (slices.at(-1)!.length === size) slices.push([]);
    slices.at(-1)!.push(device);
  }
  return slices;
}

/** A device, or its copies; those that claims hold are there in any case. */
function shapes(
  { name, attributes, down, allocated }: OfferedDevice,
  { driver, attachments, copies, served }: SharingOptions & { readonly served: ServedFeatures },
): SliceDevice[] {
  const names = served.sharing
    ? [name]
    : Array.from({ length: copies }, (_, number) => copyName(name, number));
  const taint = { key: `${driver}/link-down`, effect: "NoSchedule" };
  const offered = down && !served.taints ? [] : names;
  return [...new Set([...offered, ...allocated])].map((each) => ({
    name: each,
    attributes,
    ...(served.sharing && each === name && {
      allowMultipleAllocations: true,
      capacity: {
        attachments: {
          value: quantity(attachments),
          requestPolicy: { default: "1", validRange: { min: "1", step: "1" } },
        },
      },
    }),
    ...(down && served.taints && { taints: [taint] }),
  }));
}

/** As the API server spells it, or what it gives back would never be what was sent. */
function quantity(number: number): string {
  const suffixes = ["", "k", "M", "G"];
  let i = 0;
  for (; number > 0 && number % 1000 === 0 && i < suffixes.length - 1; i++) number /= 1000;
  return `${number}${suffixes[i]}`;
}

/** The devices of slices as the node knows them: copies are the one that they are of. */
export function nodeDevices(devices: readonly SliceDevice[]): NodeDevice[] {
  const found = new Map<string, NodeDevice>();
  for (const { name: published, attributes = {}, taints = [] } of devices) {
    const name = originalDevice(published);
    found.set(name, {
      name,
      attributes: attributes as Readonly<Record<string, DeviceAttribute>>,
      down: taints.length > 0,
    });
  }
  return [...found.values()];
}
