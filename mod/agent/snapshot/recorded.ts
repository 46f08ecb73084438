import { originalDevice } from "../../claim/device_names.ts";
import type { AttachmentRecord, ClaimRecord } from "../model.ts";
import { identityOf } from "./identity.ts";
import {
  type AttachmentSnapshot,
  type AttachmentStateName,
  type ClaimSnapshot,
  type DeviceSnapshot,
  type SandboxSnapshot,
  worst,
} from "./snapshot.ts";

/** What is on record, where nobody is there who knows more. */
export interface Recorded {
  readonly claims: readonly ClaimRecord[];
  readonly attachments: readonly AttachmentRecord[];
}

/** What people see of records alone. */
export interface RecordedSnapshot {
  readonly devices: readonly DeviceSnapshot[];
  readonly sandboxes: readonly SandboxSnapshot[];
  readonly claims: readonly ClaimSnapshot[];
  readonly attachments: readonly AttachmentSnapshot[];
}

/** The same of records as of an agent, as far as they tell. Pure. */
export function snapshotOfRecords({ claims, attachments }: Recorded): RecordedSnapshot {
  const shown = attachments.map(attachmentOf);
  const byClaim = Map.groupBy(shown, ({ claim }) => claim.uid);
  const bySandbox = Map.groupBy(attachments, ({ sandbox }) => sandbox.id);
  return {
    devices: devicesOf(claims, attachments),
    sandboxes: [...bySandbox].map(([id, all]) => {
      const { pod, netns } = all[0]!.sandbox;
      const named = netns === undefined ? {} : { netns };
      return { id, pod, state: "unknown", ...named, attachments: all.length };
    }),
    claims: claims.map((record) => claimOf(record, byClaim.get(record.claim.uid) ?? [])),
    attachments: shown,
  };
}

function claimOf(
  { claim, pods, attachments }: ClaimRecord,
  found: readonly AttachmentSnapshot[],
): ClaimSnapshot {
  return {
    ...claim,
    state: worst(found.map(({ state }) => state)) ?? "prepared",
    pods: pods.map(({ name }) => name),
    devices: attachments.map(({ device }) => device),
    attachments: found.length,
  };
}

function attachmentOf(record: AttachmentRecord): AttachmentSnapshot {
  const { attached, lost } = record;
  const state = stateOf(record);
  const since = state === "lost" ? lost?.since : attached?.at;
  return {
    ...identityOf(record),
    state,
    ...(since !== undefined && { since }),
    ...(state === "lost" && lost && { error: lost.message }),
  };
}

function stateOf({ attached, lost, add, addFailed }: AttachmentRecord): AttachmentStateName {
  if (attached) return lost ? "lost" : "attached";
  if (addFailed) return "attach_failed";
  return add === "pending" ? "attaching" : "unknown";
}

function devicesOf(
  claims: readonly ClaimRecord[],
  attachments: readonly AttachmentRecord[],
): DeviceSnapshot[] {
  const ofClaims = claims.flatMap((record) => [
    ...new Set(record.attachments.map(({ device }) => originalDevice(device))),
  ]);
  const ofAttachments = attachments.map(({ attachment: { device } }) => originalDevice(device));
  const names = [...new Set([...ofClaims, ...ofAttachments])].toSorted();
  const count = (all: readonly string[], name: string) => all.filter((each) => each === name);
  return names.map((name) => ({
    name,
    state: "unknown",
    claims: count(ofClaims, name).length,
    attachments: count(ofAttachments, name).length,
  }));
}
