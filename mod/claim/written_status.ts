import type { AllocatedDevice } from "./attachment.ts";
import { array, FieldError, type Fields, object, optional, text } from "./field.ts";

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
  try {
    const status = optional(object, object(claim, "the claim").status, "status") ?? {};
    const devices = optional(array, status.devices, "status.devices") ?? [];
    const found = devices.map((entry) => object(entry, "status.devices")).find((entry) =>
      entry.driver === driver && entry.pool === device.pool && entry.device === device.device &&
      entry.shareID === device.shareID
    );
    if (!found?.data) return undefined;
    const data = object(found.data, "data");
    const readySince = readyTime(found);
    return {
      result: { ...data, cniVersion: text(data.cniVersion, "data.cniVersion") },
      networkData: networkDataOf(found),
      ...(readySince !== undefined && { readySince }),
    };
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
