import type { AttachmentLook, SandboxLook } from "../attachments/sandbox_look.ts";
import type { DeviceLook } from "../devices/device_look.ts";
import { originalDevice } from "../../claim/device_names.ts";
import type { AgentLook } from "./agent_look.ts";
import { identityOf } from "./identity.ts";
import {
  type AttachmentSnapshot,
  type AttachmentStateName,
  type ClaimSnapshot,
  type DeviceSnapshot,
  type SandboxSnapshot,
  worst,
} from "./snapshot.ts";

/** The attachments of all sandboxes, made one by one as they are asked for. Pure. */
export function* attachmentsOf({ sandboxes }: AgentLook): Generator<AttachmentSnapshot> {
  for (const look of sandboxes) {
    for (const each of look.attachments) yield attachmentOf(look, each);
  }
}

/** The claims, those that could not be prepared first, made one by one as they are asked for. Pure. */
export function* claimsOf({ claims, refused, sandboxes }: AgentLook): Generator<ClaimSnapshot> {
  const states = new Map<string, AttachmentStateName[]>();
  for (const { attachments } of sandboxes) {
    for (const { view: { claim, phase } } of attachments) {
      const known = states.get(claim.uid);
      if (known) known.push(phase);
      else states.set(claim.uid, [phase]);
    }
  }
  const refusals = new Map(refused.map((refusal) => [refusal.claim.uid, refusal]));
  const prepared = new Map(claims.map((record) => [record.claim.uid, record]));
  for (const { claim, error, since, tries } of refused) {
    const record = prepared.get(claim.uid);
    yield {
      ...claim,
      state: "refused",
      pods: record?.pods.map(({ name }) => name) ?? [],
      devices: [],
      attachments: states.get(claim.uid)?.length ?? 0,
      error,
      since: since.toISOString(),
      tries,
      waitsFor: "the kubelet to ask again",
    };
  }
  for (const { claim, pods, attachments, unprepared } of claims) {
    if (refusals.has(claim.uid)) continue;
    const found = states.get(claim.uid) ?? [];
    const state = worst(found) ?? "prepared";
    yield {
      ...claim,
      state,
      pods: pods.map(({ name }) => name),
      devices: attachments.map(({ device }) => device),
      attachments: found.length,
      ...(state === "prepared" && { waitsFor: "a sandbox of its pod" }),
      ...(unprepared && { waitsFor: "its last pod to end" }),
    };
  }
}

/** The sandboxes that have networks, made one by one as they are asked for. Pure. */
export function* sandboxesOf({ sandboxes }: AgentLook): Generator<SandboxSnapshot> {
  for (const { sandbox: { id, pod, netns }, stopped, attachments } of sandboxes) {
    yield {
      id,
      pod,
      state: stopped ? "stopped" : "running",
      ...(netns !== undefined && { netns }),
      attachments: attachments.length,
    };
  }
}

/** The devices, with how many claims and attachments use each or a numbered copy of it. Pure. */
export function devicesOf(
  devices: readonly DeviceLook[],
  { claims, sandboxes }: AgentLook,
): DeviceSnapshot[] {
  const used = { claims: new Map<string, number>(), attachments: new Map<string, number>() };
  for (const { attachments } of claims) {
    for (const name of new Set(attachments.map(({ device }) => originalDevice(device)))) {
      used.claims.set(name, (used.claims.get(name) ?? 0) + 1);
    }
  }
  for (const { attachments } of sandboxes) {
    for (const { view: { attachment: { device } } } of attachments) {
      const name = originalDevice(device);
      used.attachments.set(name, (used.attachments.get(name) ?? 0) + 1);
    }
  }
  return devices.map((device) => ({
    ...device,
    claims: used.claims.get(device.name) ?? 0,
    attachments: used.attachments.get(device.name) ?? 0,
  }));
}

function attachmentOf(look: SandboxLook, each: AttachmentLook): AttachmentSnapshot {
  const { view, tries } = each;
  const { phase, lost, failure } = view;
  const error = failure?.error.message ?? lost?.message;
  const nextTry = failure && look.work.kind === "pausing" ? look.work.until : undefined;
  const waitsFor = waitOf(look, each);
  return {
    ...identityOf({ ...view, sandbox: look.sandbox }),
    state: phase,
    since: sinceOf(each),
    ...(error !== undefined && { error }),
    ...(tries > 0 && { tries }),
    ...(waitsFor !== undefined && { waitsFor }),
    ...(nextTry && { nextTry: nextTry.toISOString() }),
  };
}

/** What is on record outlives this run of the agent. */
function sinceOf({ view: { phase, attached, lost, failure }, since }: AttachmentLook): string {
  if (failure) return failure.since;
  if (phase === "lost" && lost) return lost.since;
  if (phase === "attached" && attached) return attached.at;
  return since.toISOString();
}

function waitOf(
  { work }: SandboxLook,
  { view: { attachment, phase, wanted, ready, lost, failure } }: AttachmentLook,
): string | undefined {
  switch (work.kind) {
    case "idle":
      if (phase === "attaching") return "the container runtime to say whether its sandbox lives";
      return undefined;
    case "pausing":
      return failure ? "the next try" : undefined;
    case "passing": {
      const { operation } = work;
      if (operation?.attachment === attachment) {
        const { command, begun } = operation;
        return begun ? `the CNI plugins: ${command} runs` : `its turn for ${command}`;
      }
      if (phase === "attached" && ready && !lost) return undefined;
      if (phase === "attached") return "its record to be on disk";
      return wanted ? "its turn in the pod" : "its turn in the pod, to be detached";
    }
  }
}
