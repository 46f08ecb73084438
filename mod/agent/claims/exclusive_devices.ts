import type { Attachment } from "../../claim/attachment.ts";
import { CNI_DEVICE, originalDevice } from "../../claim/device_names.ts";
import { exclusiveDevice } from "../../claim/exclusive_device.ts";
import type { ClaimPlan } from "../../claim/plan.ts";
import type { ClaimRecord } from "../model.ts";
import { describeClaim } from "../describe.ts";

/** The claims that are prepared. */
export interface Holders {
  all(): readonly ClaimRecord[];
  /** Those of which an attachment is an {@link exclusiveDevice}. */
  exclusiveHolders(): readonly ClaimRecord[];
}

/**
 * host-device moves the interface itself into a pod, and the kernel removes what others have on it:
 * so nobody else may hold the device or build on its interface, neither before nor after.
 *
 * @throws Error that names the other claim
 */
export function assertDevicesFree(plan: ClaimPlan, holders: Holders): void {
  for (const attachment of plan.attachments) {
    const interfaceName = exclusiveDevice(attachment);
    if (interfaceName === undefined) continue;
    const own = plan.attachments.find((other) =>
      other !== attachment && uses(other, attachment, interfaceName)
    );
    const holder = own
      ? plan
      : holders.all().find(({ claim, attachments }) =>
        claim.uid !== plan.claim.uid &&
        attachments.some((other) => uses(other, attachment, interfaceName))
      );
    if (!holder) continue;
    throw new Error(
      `${describeClaim(plan.claim)}: request ${attachment.request}: host-device would take ` +
        `${interfaceName} from ${describeClaim(holder.claim)}, which uses it: it must be the ` +
        "only claim on its interface",
    );
  }
  for (const { claim, attachments } of holders.exclusiveHolders()) {
    for (const taker of attachments) {
      const interfaceName = exclusiveDevice(taker);
      if (interfaceName === undefined || claim.uid === plan.claim.uid) continue;
      const user = plan.attachments.find((own) => uses(own, taker, interfaceName));
      if (!user) continue;
      throw new Error(
        `${describeClaim(plan.claim)}: request ${user.request}: it would use ${interfaceName}, ` +
          `which host-device takes for ${
            describeClaim(claim)
          }: that must be the only claim on its ` +
          "interface",
      );
    }
  }
}

function uses(other: Attachment, { device }: Attachment, interfaceName: string): boolean {
  // The device for networks with no interface behind it stands for none that could be taken.
  if (device !== CNI_DEVICE && originalDevice(other.device) === originalDevice(device)) return true;
  return other.network.plugins.some((plugin) =>
    ["master", "device", "bridge"].some((key) => plugin[key] === interfaceName)
  );
}
