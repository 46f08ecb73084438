import type { ClaimRecord, CniResult, Condition, DeviceStatus } from "../model.ts";
import type { ConditionReason } from "../reasons.ts";
import { attachmentKey, type AttachmentView } from "../attachments/attachment_view.ts";
import { InterfaceTakenError } from "../attachments/exclusive_interface.ts";

/** What the API server takes of `data` (validation of resource.k8s.io/v1: 10 KiB). */
const DATA_LIMIT = 10 * 1024;
/** Well below the API server's limit for a message; the cause is at its beginning. */
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
    const present = entries.filter((entry) => entry.attached);
    const failed = entries.find((entry) =>
      entry.failure && !entry.attached &&
      // A pod that waits for an interface takes nothing from the one that has it.
      !(present.length > 0 && entry.failure.error instanceof InterfaceTakenError)
    );
    const lost = present.find((entry) => entry.lost);
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
  const { data } = shown(result);
  return { ...(data && { data }), networkData };
}

/**
 * As much of a result as the API server accepts. Interfaces and addresses stay longest: where the
 * agent's own record is damaged, they tell the next agent which attachment it was.
 */
function shown(result: CniResult): { readonly data?: CniResult; readonly without?: string } {
  if (fits(result)) return { data: result };
  const { cniVersion, interfaces, ips } = result;
  const short = { cniVersion, interfaces, ...(ips !== undefined && { ips }) };
  if (interfaces === undefined || !fits(short)) {
    return { without: "the CNI result exceeds 10 KiB and is left out" };
  }
  return {
    data: short,
    without: "of the CNI result, which exceeds 10 KiB, only interfaces and ips",
  };
}

function fits(result: CniResult): boolean {
  return sizeInGo(result) <= DATA_LIMIT;
}

/**
 * The bytes of a value as the API server measures it: Go writes <, >, &, U+2028 and U+2029 as
 * escapes of six bytes (encoding/json), and what YAML does not take is sent as U+FFFD.
 */
function sizeInGo(value: unknown): number {
  const json = JSON.stringify(value)
    .replaceAll(/[<>&\u2028\u2029]/g, "\\u0000")
    .replaceAll(/[\x7f-\x9f]/g, "\ufffd");
  return new TextEncoder().encode(json).length;
}

function ready(entry: AttachmentView, pods: number): Condition {
  const parts = [`attached as ${entry.attachment.ifName}`];
  if (pods > 1) parts.push(`in ${pods} pods`);
  const { without } = shown(entry.attached!.result);
  if (without !== undefined) parts.push(`(${without})`);
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
    readonly reason: ConditionReason;
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
