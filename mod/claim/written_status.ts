import type { AllocatedDevice } from "./attachment.ts";
import { array, FieldError, type Fields, object, optional, text } from "./field.ts";
import { isDefaultName } from "./interface_names.ts";

/** What a claim's status says of a device of which the network was attached (KEP-4817). */
export interface WrittenStatus {
  /** `data`: the CNI result. */
  readonly result: Fields & { readonly cniVersion: string };
  readonly networkData: {
    readonly interfaceName?: string;
    readonly hardwareAddress?: string;
    readonly ips?: readonly string[];
  };
  /** Since when it has been Ready (RFC 3339); absent where it is not. */
  readonly readySince?: string;
}

/**
 * Finds what `status.devices` of a ResourceClaim says of a device. Undefined where it says nothing,
 * or not what this driver writes: others can write there too.
 */
export function writtenStatus(
  claim: unknown,
  { driver, device }: { readonly driver: string; readonly device: AllocatedDevice },
): WrittenStatus | undefined {
  return ifReadable(() => {
    const found = entryOf(claim, { driver, device });
    if (!found?.data) return undefined;
    const data = object(found.data, "data");
    const readySince = readyTime(found);
    return {
      result: { ...data, cniVersion: text(data.cniVersion, "data.cniVersion") },
      networkData: networkDataOf(found),
      ...(readySince !== undefined && { readySince }),
    };
  });
}

/**
 * The name that an earlier run of the agent chose for a device's interface, from `status.devices`:
 * one of net1, net2, …. Undefined where nothing is written, or another name.
 */
export function writtenDefaultName(
  claim: unknown,
  { driver, device }: { readonly driver: string; readonly device: AllocatedDevice },
): string | undefined {
  const name = ifReadable(() => {
    const found = entryOf(claim, { driver, device });
    return found && networkDataOf(found).interfaceName;
  });
  return name !== undefined && isDefaultName(name) ? name : undefined;
}

function entryOf(
  claim: unknown,
  { driver, device }: { readonly driver: string; readonly device: AllocatedDevice },
): Fields | undefined {
  const status = optional(object, object(claim, "the claim").status, "status") ?? {};
  const devices = optional(array, status.devices, "status.devices") ?? [];
  return devices.map((entry) => object(entry, "status.devices")).find((entry) =>
    entry.driver === driver && entry.pool === device.pool && entry.device === device.device &&
    entry.shareID === device.shareID
  );
}

/** Undefined where a field is not what this driver writes. */
function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof FieldError) return undefined;
    throw error;
  }
}

function networkDataOf({ networkData }: Fields): WrittenStatus["networkData"] {
  const fields = optional(object, networkData, "networkData") ?? {};
  const interfaceName = optional(text, fields.interfaceName, "interfaceName");
  const hardwareAddress = optional(text, fields.hardwareAddress, "hardwareAddress");
  const ips = optional(array, fields.ips, "ips")?.map((ip) => text(ip, "ips"));
  return {
    ...(interfaceName !== undefined && { interfaceName }),
    ...(hardwareAddress !== undefined && { hardwareAddress }),
    ...(ips && { ips }),
  };
}

function readyTime({ conditions }: Fields): string | undefined {
  const all = (optional(array, conditions, "conditions") ?? []).map((each) =>
    object(each, "conditions")
  );
  const ready = all.find(({ type, status }) => type === "Ready" && status === "True");
  return optional(text, ready?.lastTransitionTime, "lastTransitionTime");
}
