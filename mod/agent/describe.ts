import type { Attachment, ClaimRef } from "../claim/attachment.ts";
import type { PodRef } from "./model.ts";

/** `claim default/a`. */
export function describeClaim(
  claim: { readonly namespace: string; readonly name: string },
): string {
  return `claim ${claim.namespace}/${claim.name}`;
}

/** `pod default/a`. */
export function describePod(pod: PodRef): string {
  return `pod ${pod.namespace}/${pod.name}`;
}

/** `network "macvlan-eth0" (interface net1, claim default/a)`. */
export function describeAttachment(
  { claim, attachment }: { readonly claim: ClaimRef; readonly attachment: Attachment },
): string {
  return `network ${JSON.stringify(attachment.network.name)} (interface ${attachment.ifName}, ` +
    `${describeClaim(claim)})`;
}
