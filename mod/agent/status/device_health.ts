import type { ClaimRecord } from "../model.ts";
import { attachmentKey, type AttachmentView } from "../attachments/attachment_view.ts";
import { describeAttachment } from "../describe.ts";

/** How one allocated device is doing. */
export interface DeviceHealth {
  readonly pool: string;
  readonly device: string;
  readonly healthy: boolean;
  readonly message: string;
}

/**
 * How the devices of claims are doing, each once. The kubelet shows a device's health on all pods
 * that share it, so a device is unhealthy when all that was attached by it is lost; when only a part
 * is, its message says which.
 *
 * @param entriesOf what is attached of a claim, by its UID
 */
export function deviceHealth(
  records: readonly ClaimRecord[],
  entriesOf: (claimUid: string) => readonly AttachmentView[],
): DeviceHealth[] {
  const devices = new Map<
    string,
    {
      readonly pool: string;
      readonly device: string;
      attached: number;
      readonly lost: AttachmentView[];
    }
  >();
  for (const { claim, attachments } of records) {
    const entries = entriesOf(claim.uid).filter(({ wanted, attached }) => wanted && attached);
    for (const attachment of attachments) {
      const { pool, device } = attachment;
      const key = JSON.stringify([pool, device]);
      const state = devices.get(key) ?? { pool, device, attached: 0, lost: [] };
      devices.set(key, state);
      const own = attachmentKey(claim, attachment);
      for (const entry of entries) {
        if (attachmentKey(claim, entry.attachment) !== own) continue;
        state.attached++;
        if (entry.lost) state.lost.push(entry);
      }
    }
  }
  return [...devices.values()].map(({ pool, device, attached, lost }) => ({
    pool,
    device,
    healthy: lost.length === 0 || lost.length < attached,
    message: describe(lost, attached),
  }));
}

function describe([first, ...more]: readonly AttachmentView[], attached: number): string {
  if (!first) return "";
  const what = `${describeAttachment(first)} is lost: ${first.lost!.message}`;
  return attached === 1 ? what : `${1 + more.length} of ${attached} networks: ${what}`;
}
