import type {
  AttachmentSnapshot,
  ClaimSnapshot,
  DeviceSnapshot,
  SandboxSnapshot,
} from "../agent/snapshot/snapshot.ts";

/** The version of the status document. It grows only when a reader of the one before would be misled. */
export const DOCUMENT_VERSION = 1;

/**
 * What an agent answers to whoever asks for its status, and what `status -o json` prints with
 * `problems` besides. Times are RFC 3339.
 */
export interface StatusDocument {
  readonly version: typeof DOCUMENT_VERSION;
  /** Who tells: an agent, or the records that one left. */
  readonly source: "agent" | "records";
  /** When it was looked at. */
  readonly at: string;
  readonly stateDir: string;
  /** The agents of the node that answered, the one that leads first. */
  readonly agents: readonly AgentStatus[];
  /** Those of the first agent. */
  readonly settings: readonly SettingStatus[];
  readonly devices: readonly DeviceSnapshot[];
  readonly sandboxes: readonly SandboxSnapshot[];
  readonly claims: readonly ClaimSnapshot[];
  readonly attachments: readonly AttachmentSnapshot[];
  /**
   * What `status` finds on the node besides: leases of host-local that no sandbox of the agent has.
   * Absent where nobody has looked, such as an earlier release.
   */
  readonly leases?: readonly LeaseStatus[];
}

/** A lease of the IPAM plugin host-local. */
export interface LeaseStatus {
  readonly network: string;
  readonly address: string;
  /** The ID of the sandbox that it is for. */
  readonly sandbox: string;
  /** Its file, as the agent sees it. */
  readonly path: string;
}

/** One agent of the node. */
export interface AgentStatus {
  readonly version: string;
  readonly node: string;
  /** The DRA driver's name. */
  readonly driver: string;
  /** UID of the pod that it runs in, where it runs in one. */
  readonly podUid?: string;
  readonly startedAt: string;
  readonly role: "leads" | "stands by";
  /** What it needs, and whether it is there: NRI, the kubelet, the API server, … */
  readonly needs: readonly NeedStatus[];
}

/** One thing that the agent needs. */
export interface NeedStatus {
  readonly name: string;
  readonly ok: boolean;
  /** What is so; where it is not: what is wrong, since when, and what to do. */
  readonly says: string;
}

/** One setting of the agent. */
export interface SettingStatus {
  /** As the configuration file spells it, such as `cniTimeout`. */
  readonly name: string;
  /** As it was given, or as its default reads; an object for `interfaces` and `policy`. */
  readonly value: unknown;
  readonly from: "flag" | "environment" | "file" | "default";
  /** The flag, the variable, or the file and key that gave it. */
  readonly at?: string;
}
