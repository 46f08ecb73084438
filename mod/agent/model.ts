/** The agent's records and values: what the ports exchange and the journal stores. */
import type { Attachment, ClaimRef } from "../claim/attachment.ts";
import type { NetworkOf } from "../claim/parameters.ts";
import type { ConditionReason, EventReason } from "./reasons.ts";

/** A pod's sandbox as the container runtime reports it. */
export interface Sandbox {
  readonly id: string;
  readonly pod: PodRef;
  /** Path of the network namespace; undefined if the runtime reported none (host network). */
  readonly netns?: string;
  /**
   * Set if nothing of the sandbox may be left: it has ended, its creation was interrupted, or the
   * report is incomplete.
   */
  readonly incomplete?: true;
}

/** Identifies a pod; the UID distinguishes it from an earlier pod of the same name. */
export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The arguments of one CNI operation (CNI SPEC, section 2: parameters). */
export interface RuntimeConfig {
  /** The sandbox id. */
  readonly containerID: string;
  /** CNI_NETNS; empty when the namespace is gone (DEL only). */
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS, in order. */
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
  /** For which claim and pod it is. Plugins learn of the pod by `args`. */
  readonly claim: ClaimRef;
  readonly pod: PodRef;
}

/** A CNI result as the last plugin returned it, converted to 1.x; plain JSON. */
export type CniResult = { readonly cniVersion: string } & Readonly<Record<string, unknown>>;

/** The outcome of an attachment. */
export interface AttachResult {
  readonly result: CniResult;
  readonly networkData: NetworkData;
}

/** An attachment's outcome and its time. */
export interface Attached extends AttachResult {
  /** RFC 3339. Stored, so that the time of the Ready condition survives a restart. */
  readonly at: string;
  /** Set once CHECK has found it intact: only after that does a failed CHECK mean a loss. */
  readonly checked?: true;
  /** The kernel's number of its interface in the pod; absent where that could not be told. */
  readonly index?: number;
}

/** Which interface one is, whatever it is called. */
export interface InterfaceIdentity {
  /** The kernel's number: no later interface of the namespace gets it. */
  readonly index: number;
  /** The hardware address, in lower case with colons; absent where it has none. */
  readonly mac?: string;
}

/** The interfaces in a pod, by name. */
export type Interfaces = ReadonlyMap<string, InterfaceIdentity>;

/** An attachment that is not as ADD left it. */
export interface Lost {
  readonly reason: Extract<ConditionReason, "NetworkInterfaceLost" | "DeviceRemoved">;
  /** The plugin's message. */
  readonly message: string;
  /** RFC 3339. */
  readonly since: string;
}

/**
 * The result of CNI CHECK. "uncheckable": the network's version has no CHECK, or its configuration
 * turns it off. "unknown": the plugin could not check, which says nothing about the attachment.
 */
export type Finding =
  | { readonly state: "intact" | "uncheckable" }
  | { readonly state: "lost" | "unknown"; readonly cause: string };

/** An attachment that GC must keep (CNI SPEC, GC). */
export interface ValidAttachment {
  readonly containerID: string;
  readonly ifname: string;
}

/** `status.devices[].networkData` (KEP-4817). */
export interface NetworkData {
  readonly interfaceName?: string;
  readonly hardwareAddress?: string;
  /** Canonical CIDR, unique, at most 16. */
  readonly ips?: readonly string[];
}

/** A ResourceClaim (resource.k8s.io/v1) as far as the agent reads it; parsed by mod/claim. */
export type ResourceClaim = Readonly<Record<string, unknown>>;

/** One entry of `status.devices` (resource.k8s.io/v1 AllocatedDeviceStatus). */
export interface DeviceStatus {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly shareID?: string;
  readonly conditions: readonly Condition[];
  /**
   * The CNI result. If it exceeds the API server's limit (10 KiB), only its interfaces and ips;
   * left out if these exceed it, too.
   */
  readonly data?: CniResult;
  readonly networkData?: NetworkData;
}

/** The Ready condition of a device in `status.devices` (KEP-4817). */
export interface Condition {
  readonly type: "Ready";
  readonly status: "True" | "False";
  readonly reason: ConditionReason;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

/** A claim that Prepare accepted: what must be attached to each sandbox of the pods that use it. */
export interface ClaimRecord {
  readonly claim: ClaimRef;
  /**
   * The pods that `status.reservedFor` named when the claim was last read, and the pods of its
   * PodGroups whose sandboxes were reported.
   */
  readonly pods: readonly { readonly name: string; readonly uid: string }[];
  /** PodGroups that `status.reservedFor` named; absent where it named none. */
  readonly groups?: readonly string[];
  /**
   * Set if the kubelet has unprepared the claim while a pod used it: the claim is released once no
   * sandbox uses it any more, without another call of the kubelet.
   */
  readonly unprepared?: true;
  /** Whether more pods can start to use the claim (it does not belong to a single pod). */
  readonly shareable: boolean;
  /**
   * Its name in the pod, if it was created from a template; absent in records of agents that did
   * not store it.
   */
  readonly podClaimName?: string;
  readonly attachments: readonly Attachment[];
}

/** An attachment of one sandbox: written before ADD, removed after DEL has succeeded. */
export interface AttachmentRecord {
  readonly claim: ClaimRef;
  readonly sandbox: Sandbox;
  readonly attachment: Attachment;
  /** Absent until ADD has succeeded; ADD may have begun, unless `add` is "pending". */
  readonly attached?: Attached;
  /**
   * "pending" until the ADD begins; absent once it has ended, and in records of agents that did not
   * store it.
   */
  readonly add?: "pending" | "started";
  /** Set with add when that ADD makes anew what was lost: the claim's status may tell of what it was. */
  readonly repair?: true;
  /** Set while CHECK says that it is not as ADD left it. */
  readonly lost?: Lost;
  /**
   * Set if DEL must run before another ADD: ADD has failed, or a lost attachment is being repaired.
   */
  readonly addFailed?: true;
  /**
   * Set with addFailed if no interface with that name belongs to this attachment: DEL must
   * not see the pod's namespace.
   */
  readonly foreign?: true;
}

/** What the journal holds. */
export interface Loaded {
  readonly claims: readonly ClaimRecord[];
  readonly attachments: readonly AttachmentRecord[];
  /** Records of attachments that cannot be read. */
  readonly unreadable: readonly UnreadableRecord[];
  /** Claims that were unprepared a while ago. */
  readonly departed: readonly ClaimRecord[];
}

/** A record of an attachment that cannot be read. */
export interface UnreadableRecord {
  readonly claimUid: string;
  /** Whether it is the record of this attachment. */
  isOf(record: Pick<AttachmentRecord, "claim" | "sandbox" | "attachment">): boolean;
}

/** The journal's contents for one pod. */
export interface PodRecords {
  /** Those reserved for the pod. */
  readonly claims: readonly ClaimRecord[];
  /** Those of these claims. */
  readonly attachments: readonly AttachmentRecord[];
  /**
   * The other claims in its namespace that more pods can start to use, including those that have
   * departed: the pod may be one of them.
   */
  readonly shareable: readonly ClaimRecord[];
  /** Whether there are records of claims that cannot be read: they may be the pod's. */
  readonly unreadable: boolean;
  /** UIDs of all claims on record, whichever pods they are for. */
  readonly recorded: ReadonlySet<string>;
}

/** What containers that name a claim can read about it (KEP-5304). */
export interface ClaimMetadata {
  readonly claim: ClaimRef;
  readonly podClaimName?: string;
  readonly devices: readonly DeviceMetadata[];
}

/** One device of a claim, with its attributes and its network (KEP-5304). */
export interface DeviceMetadata {
  /** As the allocation names it: `request` or `request/subrequest`. */
  readonly request: string;
  readonly pool: string;
  readonly device: string;
  readonly attributes: Readonly<Record<string, DeviceAttribute>>;
  /** Absent until it is attached. */
  readonly networkData?: NetworkData;
}

/** The outcome of an operation, as a label of metrics. */
export type Result = "ok" | "error";
/**
 * "refused": with an error, before the time-out; "timeout": the networks were not attached in time.
 */
export type GateOutcome = "opened" | "refused" | "timeout";
/** "refused": the API server rejects the status as invalid; a reduced status is written. */
export type StatusResult = "applied" | "gone" | "failed" | "refused";
/**
 * What a Prepare of the kubelet does: "plan": reads its claims from the API server and checks them;
 * "pods": learns which claims their pods share; "record": puts on record what is to be attached.
 */
export type PreparePhase = "plan" | "pods" | "record";
/** What CHECK found, as a label of metrics. */
export type CheckResult = "intact" | "lost" | "unknown";
/**
 * "claim_gone": the claim no longer exists in the API server, or is allocated differently;
 * "plugin_missing": the plugin that would detach is no longer on the node; "never_attached": its
 * ADD is not known to have succeeded, and its DEL fails; "asked": an administrator requested it.
 */
export type ForgetCause = "claim_gone" | "plugin_missing" | "never_attached" | "asked";

/** Counts of what the agent keeps. */
export interface AgentCounts {
  readonly attachments: Readonly<Record<AttachmentPhase, number>>;
  /** What the journal holds. */
  readonly records: { readonly claim: number; readonly attachment: number };
}

/** The state of an attachment in one word, for metrics and users. */
export type AttachmentPhase =
  | "attaching"
  | "attached"
  | "lost"
  | "attach_failed"
  | "detaching"
  | "detach_failed";

/** An Event of type Warning about a pod or a claim. */
export interface WarningEvent {
  readonly reason: EventReason;
  readonly message: string;
  readonly about: EventObject;
}

/** The object that an event is about. */
export interface EventObject extends PodRef {
  readonly kind: "Pod" | "ResourceClaim";
}

/** An attribute's value as the API has it (resource.k8s.io/v1 DeviceAttribute). */
export type DeviceAttribute =
  | { readonly string: string }
  | { readonly int: number }
  | { readonly bool: boolean };

/** A device of this node as the scheduler sees it. */
export interface NodeDevice {
  readonly name: string;
  /** By name; names without a domain belong to the driver. */
  readonly attributes: Readonly<Record<string, DeviceAttribute>>;
  /** Its link is down or gone: nothing new may be scheduled on it. */
  readonly down: boolean;
}

/** A device to be published. */
export interface OfferedDevice extends NodeDevice {
  /** Names of the device or of its numbered copies that claims hold and that must not change. */
  readonly allocated: readonly string[];
}

/** The networks that claims of one namespace can name on the node. */
export interface NodeNetworks {
  /** Those of the administrator: no network of a claim's own may have their names. */
  readonly names: readonly string[];
  readonly networkOf: NetworkOf;
}
