import type { ClaimRecord, Condition, DeviceStatus } from "../model.ts";
import { attachmentKey, type AttachmentView } from "../attachments/attachment_view.ts";

/** What the API server takes of `data` (validation of resource.k8s.io/v1: 10 KiB). */
const DATA_LIMIT = 10 * 1024;
/** Well below the API server's limit for a message; the cause stands at its beginning. */
const MESSAGE_LIMIT = 4096;

/**
 * The entries of `status.devices` (KEP-4817) for a claim: one for each allocated device of which
 * something is known. Where several pods share the claim, the entry carries the network of the
 * first, is Ready when none has failed or is lost, and says how many are attached.
 */
export function deviceStatuses(
  record: ClaimRecord,
  options: { readonly driver: string; readonly entries: readonly AttachmentView[] },
): DeviceStatus[] {
  const statuses: DeviceStatus[] = [];
  for (const attachment of record.attachments) {
    const key = attachmentKey(record.claim, attachment);
    const entries = options.entries.filter((entry) =>
      entry.wanted && attachmentKey(entry.claim, entry.attachment) === key
    );
    const failed = entries.find((entry) => entry.failure && !entry.attached);
    const lost = entries.find((entry) => entry.attached && entry.lost);
    const present = entries.filter((entry) => entry.attached);
    const attached = lost ?? present[0];
    if (!failed && !attached) continue;
    statuses.push({
      driver: options.driver,
      pool: attachment.pool,
      device: attachment.device,
      ...(attachment.shareID !== undefined && { shareID: attachment.shareID }),
      conditions: [condition({ failed, lost, attached }, present.length)],
      ...(attached && outcome(attached)),
    });
  }
  return statuses;
}

function condition(
  { failed, lost, attached }: Readonly<
    Record<"failed" | "lost" | "attached", AttachmentView | undefined>
  >,
  pods: number,
): Condition {
  if (failed) {
    const { error, since } = failed.failure!;
    return notReady({ reason: "NetworkInterfaceNotReady", message: error.message, since });
  }
  return lost ? notReady(lost.lost!) : ready(attached!, pods);
}

function outcome(entry: AttachmentView): Pick<DeviceStatus, "data" | "networkData"> {
  const { result, networkData } = entry.attached!;
  return { ...(fits(entry) && { data: result }), networkData };
}

function fits(entry: AttachmentView): boolean {
  const json = JSON.stringify(entry.attached?.result);
  return new TextEncoder().encode(json).length <= DATA_LIMIT;
}

function ready(entry: AttachmentView, pods: number): Condition {
  const parts = [`attached as ${entry.attachment.ifName}`];
  if (pods > 1) parts.push(`in ${pods} pods`);
  if (!fits(entry)) parts.push("(the CNI result exceeds 10 KiB and is left out)");
  return {
    type: "Ready",
    status: "True",
    reason: "NetworkInterfaceReady",
    message: parts.join(" "),
    lastTransitionTime: entry.attached!.at,
  };
}

function notReady(
  { reason, message, since }: {
    readonly reason: string;
    readonly message: string;
    readonly since: string;
  },
): Condition {
  return {
    type: "Ready",
    status: "False",
    reason,
    message: message.slice(0, MESSAGE_LIMIT),
    lastTransitionTime: since,
  };
}
