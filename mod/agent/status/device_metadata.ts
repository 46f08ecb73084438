import { attachmentKey, type AttachmentView } from "../attachments/attachment_view.ts";
import type { ClaimMetadata, ClaimRecord, NetworkData } from "../model.ts";
import type { Devices } from "../ports.ts";

/**
 * What containers that name a claim read of it. They read one file, whichever pod they are in: where
 * several pods share the claim, it has only what is the same for all.
 */
export function claimMetadata(
  { claim, podClaimName, attachments }: ClaimRecord,
  { entries, devices }: {
    readonly entries: readonly AttachmentView[];
    readonly devices: Pick<Devices, "attributesOf">;
  },
): ClaimMetadata {
  const wanted = Map.groupBy(
    entries.filter((entry) => entry.wanted),
    (entry) => attachmentKey(entry.claim, entry.attachment),
  );
  return {
    claim,
    ...(podClaimName !== undefined && { podClaimName }),
    devices: attachments.map((attachment) => {
      const { request, pool, device } = attachment;
      const networkData = common(wanted.get(attachmentKey(claim, attachment)) ?? []);
      const attributes = devices.attributesOf(device);
      return { request, pool, device, attributes, ...(networkData && { networkData }) };
    }),
  };
}

/** Pods that share a claim have addresses of their own. */
function common(entries: readonly AttachmentView[]): NetworkData | undefined {
  const [first, ...others] = entries.map(({ attached }) => attached?.networkData);
  if (others.length === 0) return first;
  const interfaceName = first?.interfaceName;
  const same = others.every((other) => other?.interfaceName === interfaceName);
  return same && interfaceName !== undefined ? { interfaceName } : undefined;
}
