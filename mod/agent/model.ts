/** The records and values of the agent: what the ports carry and the journal keeps. */
import type { Attachment, ClaimRef } from "../claim/attachment.ts";
import type { NetworkOf } from "../claim/parameters.ts";

/** A pod's sandbox as the container runtime reports it. */
export interface Sandbox {
  readonly id: string;
  readonly pod: PodRef;
  /** Path of the network namespace; undefined when the runtime named none (host network). */
  readonly netns?: string;
  /** Set when nothing of it may be left: it has ended, its making was broken off, or it is not told in full. */
  readonly incomplete?: true;
}

/** Which pod; the UID tells a pod from an earlier one of the same name. */
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
}

/** A CNI result as the last plugin gave it, converted to 1.x; plain JSON. */
export type CniResult = { readonly cniVersion: string } & Readonly<Record<string, unknown>>;

/** What an attachment came to. */
export interface AttachResult {
  readonly result: CniResult;
  readonly networkData: NetworkData;
}

/** An attachment's outcome and when it came. */
export interface Attached extends AttachResult {
  /** RFC 3339. Kept, so that a restart does not make the Ready condition younger than it is. */
  readonly at: string;
  /** Set once CHECK has found it intact: a CHECK that fails from then on means something. */
  readonly checked?: true;
}

/** An attachment that is not as ADD left it. */
export interface Lost {
  readonly reason: "NetworkInterfaceLost" | "DeviceRemoved";
  /** In the plugin's words. */
  readonly message: string;
  /** RFC 3339. */
  readonly since: string;
}

/**
 * What CNI CHECK came to. "uncheckable": the network's version has no CHECK, or its configuration
 * turns it off. "unknown": the plugin could not look, which says nothing of the attachment.
 */
export type Finding =
  | { readonly state: "intact" | "uncheckable" }
  | { readonly state: "lost" | "unknown"; readonly cause: string };

/** An attachment that GC shall keep (CNI SPEC, GC). */
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
  /** The CNI result, left out when it exceeds what the API server takes (10 KiB). */
  readonly data?: CniResult;
  readonly networkData?: NetworkData;
}

/** The Ready condition of a device in `status.devices` (KEP-4817). */
export interface Condition {
  readonly type: "Ready";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

/** A claim that Prepare accepted: what must be attached to each sandbox of the pods that use it. */
export interface ClaimRecord {
  readonly claim: ClaimRef;
  /**
   * The pods that `status.reservedFor` named when the claim was last read, and those of its PodGroups
   * of which a sandbox came.
   */
  readonly pods: readonly { readonly name: string; readonly uid: string }[];
  /** PodGroups that `status.reservedFor` named; absent where it named none. */
  readonly groups?: readonly string[];
  /**
   * Set when the kubelet has unprepared the claim while a pod used it: it goes when no sandbox uses it
   * any more, without a further call of the kubelet.
   */
  readonly unprepared?: true;
  /** Whether further pods can come to use the claim (it does not belong to one pod). */
  readonly shareable: boolean;
  /** What its pod calls it, where it was made from a template; absent in records of an agent that kept none. */
  readonly podClaimName?: string;
  readonly attachments: readonly Attachment[];
}

/** An attachment of one sandbox: written before ADD, removed after DEL has succeeded. */
export interface AttachmentRecord {
  readonly claim: ClaimRef;
  readonly sandbox: Sandbox;
  readonly attachment: Attachment;
  /** Absent until ADD has succeeded: ADD may have begun. */
  readonly attached?: Attached;
  /** Set while CHECK says that it is not as ADD left it. */
  readonly lost?: Lost;
  /** Set when ADD has failed and its DEL is owed. */
  readonly addFailed?: true;
}

/** What the journal holds. */
export interface Loaded {
  readonly claims: readonly ClaimRecord[];
  readonly attachments: readonly AttachmentRecord[];
  /** UIDs of claims of which a record of an attachment cannot be read. */
  readonly unreadable: readonly string[];
}

/** What the journal holds of one pod. */
export interface PodRecords {
  /** Those reserved for the pod. */
  readonly claims: readonly ClaimRecord[];
  /** Those of these claims. */
  readonly attachments: readonly AttachmentRecord[];
  /** The other claims of its namespace that further pods can come to use: it may be one of them. */
  readonly shareable: readonly ClaimRecord[];
  /** Whether there are records of claims that cannot be read: they may be the pod's. */
  readonly unreadable: boolean;
}

/** What containers that name a claim read of it (KEP-5304). */
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
/** "refused": with an error, before its time was over; "timeout": the networks were not there in time. */
export type GateOutcome = "opened" | "refused" | "timeout";
/** "refused": the API server finds the status invalid; it is written with less in it. */
export type StatusResult = "applied" | "gone" | "failed" | "refused";
/** What CHECK found, as a label of metrics. */
export type CheckResult = "intact" | "lost" | "unknown";
/**
 * "claim_gone": the API server no longer has the claim, or has it allocated otherwise; "plugin_missing": the plugin that would detach
 * is gone from the node; "never_attached": its ADD has failed, and so does its DEL; "asked": an
 * administrator said so.
 */
export type ForgetCause = "claim_gone" | "plugin_missing" | "never_attached" | "asked";

/** How many there are of what the agent keeps. */
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
  readonly reason:
    | "NetworkAttachFailed"
    | "NetworkAttachedLate"
    | "NetworkDetachFailed"
    | "NetworkDeviceRemoved"
    | "NetworkForgotten"
    | "NetworkKept"
    | "NetworkLost"
    | "NetworkRefusedByPolicy"
    | "NetworkStatusRefused"
    | "NetworkWaiting";
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

/** A device of this node as the scheduler shall see it. */
export interface NodeDevice {
  readonly name: string;
  /** By name; without a domain they are the driver's. */
  readonly attributes: Readonly<Record<string, DeviceAttribute>>;
  /** Its link is down or away: nothing new may be scheduled on it. */
  readonly down: boolean;
}

/** A device to be published. */
export interface OfferedDevice extends NodeDevice {
  /** Names of it, or of its numbered copies, that claims hold and that must stay as they are. */
  readonly allocated: readonly string[];
}

/** The networks that the administrator has defined on the node. */
export interface NodeNetworks {
  readonly names: readonly string[];
  readonly networkOf: NetworkOf;
}
