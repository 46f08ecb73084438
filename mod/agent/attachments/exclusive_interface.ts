import type { Attachment, ClaimRef } from "../../claim/attachment.ts";
import { exclusiveDevice } from "../../claim/exclusive_device.ts";
import { describePod } from "../describe.ts";
import type { PodRef, Sandbox } from "../model.ts";
import { attachmentKey } from "./attachment_view.ts";

/** A sandbox and what it has of a claim. */
export interface ClaimUser {
  readonly sandbox: Sandbox;
  of(claimUid: string): readonly {
    readonly claim: ClaimRef;
    readonly attachment: Attachment;
    readonly wanted: boolean;
    /** Whether something of it may be on the node. */
    readonly mayExist: boolean;
  }[];
}

/** The interface that a pod shall have is with another pod that uses the same claim. */
export class InterfaceTakenError extends Error {
  override readonly name = "InterfaceTakenError";

  constructor(interfaceName: string, holder: PodRef) {
    super(
      `${interfaceName} belongs to ${
        describePod(holder)
      } until that pod ends: host-device moves an ` +
        "interface into one pod at a time",
    );
  }
}

/**
 * Pods that share a claim share its devices, but for an interface that moves into the pod: the first
 * has it, and the others get it one after the other.
 *
 * @param users gives the sandboxes that have something of the claim, in the order in which they came
 * @throws InterfaceTakenError when the attachment's interface is not for this sandbox now
 */
export function assertInterfaceFree(
  { sandbox, claim, attachment }: {
    readonly sandbox: Sandbox;
    readonly claim: ClaimRef;
    readonly attachment: Attachment;
  },
  users: () => readonly ClaimUser[],
): void {
  const interfaceName = exclusiveDevice(attachment);
  if (interfaceName === undefined) return;
  const key = attachmentKey(claim, attachment);
  const rivals = users().flatMap((user) =>
    user.of(claim.uid).filter((entry) => attachmentKey(entry.claim, entry.attachment) === key)
      .map(({ wanted, mayExist }) => ({ sandbox: user.sandbox, wanted, mayExist }))
  );
  const own = rivals.find((rival) => rival.sandbox.id === sandbox.id);
  if (own?.mayExist) return;
  const holder = rivals.find(({ mayExist }) => mayExist) ?? rivals.find(({ wanted }) => wanted);
  if (holder && holder !== own) throw new InterfaceTakenError(interfaceName, holder.sandbox.pod);
}
