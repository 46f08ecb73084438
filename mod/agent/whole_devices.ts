import type { Attachment } from "../claim/attachment.ts";
import { originalDevice } from "../claim/device_names.ts";
import type { ClaimPlan } from "../claim/plan.ts";
import type { ClaimRecord } from "./ports.ts";
import { describeClaim } from "./words.ts";

/**
 * host-device moves the interface itself into a pod, and the kernel removes what others have on it:
 * so nobody else may hold the device or build on its interface.
 *
 * @param others the claims that are prepared
 * @throws Error that names the other claim
 */
export function assertWholeDevices(plan: ClaimPlan, others: () => readonly ClaimRecord[]): void {
  for (const attachment of plan.attachments) {
    const interfaceName = takenWhole(attachment);
    if (interfaceName === undefined) continue;
    const own = plan.attachments.find((other) =>
      other !== attachment && uses(other, attachment, interfaceName)
    );
    const holder = own
      ? plan
      : others().find(({ claim, attachments }) =>
        claim.uid !== plan.claim.uid &&
        attachments.some((other) => uses(other, attachment, interfaceName))
      );
    if (!holder) continue;
    throw new Error(
      `${describeClaim(plan.claim)}: request ${attachment.request}: host-device would take ` +
        `${interfaceName} from ${describeClaim(holder.claim)}, which uses it: it must be the ` +
        "only one on its interface",
    );
  }
}

/** The interface that an attachment takes away from the node. */
function takenWhole({ network }: Attachment): string | undefined {
  const plugin = network.plugins.find(({ type }) => type === "host-device");
  return typeof plugin?.device === "string" ? plugin.device : undefined;
}

function uses(other: Attachment, { device }: Attachment, interfaceName: string): boolean {
  if (originalDevice(other.device) === originalDevice(device)) return true;
  return other.network.plugins.some((plugin) =>
    ["master", "device", "bridge"].some((key) => plugin[key] === interfaceName)
  );
}
