/** The interfaces for everything outside the agent. Adapters implement them. */
import type { DeviceInterface } from "../claim/allocated_interface.ts";
import type { ClaimRef } from "../claim/attachment.ts";
import type { NetworkList } from "../claim/network_list.ts";
import type { PodClaims } from "../claim/pod_claims.ts";
import type { NodeView } from "../claim/policy_checks.ts";
import type {
  AttachmentRecord,
  AttachResult,
  CheckResult,
  ClaimMetadata,
  ClaimRecord,
  CniResult,
  DeviceAttribute,
  DeviceStatus,
  Finding,
  ForgetCause,
  GateOutcome,
  Interfaces,
  Loaded,
  NodeDevice,
  NodeNetworks,
  OfferedDevice,
  PodRecords,
  PodRef,
  PreparePhase,
  ResourceClaim,
  Result,
  RuntimeConfig,
  Sandbox,
  StatusResult,
  ValidAttachment,
  WarningEvent,
} from "./model.ts";

/** Runs the operations of CNI plugins. Each rejects with an error whose message a user can act on. */
export interface Cni {
  /** Checks that the network works on this node: every plugin exists, supports cniVersion and reports STATUS OK. */
  verify(network: NetworkList, signal: AbortSignal): Promise<void>;
  /**
   * @param options.begins is waited for when all that the plugins need is there, right before the
   *   first one runs; what it throws keeps them from running. Nothing is left of an ADD that has not
   *   begun.
   */
  add(
    network: NetworkList,
    runtime: RuntimeConfig,
    options: { readonly begins?: () => Promise<void>; readonly signal: AbortSignal },
  ): Promise<AttachResult>;
  del(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** CHECK: whether the attachment is as ADD left it. Does not reject. */
  check(
    network: NetworkList,
    runtime: RuntimeConfig,
    prevResult: CniResult,
    signal: AbortSignal,
  ): Promise<Finding>;
  /**
   * GC: the plugins free everything that they keep for attachments of the network other than these.
   * Returns false if the network's version has no GC, or its configuration turns it off.
   */
  gc(
    network: NetworkList,
    options: { readonly valid: readonly ValidAttachment[]; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** The network's plugins, including IPAM plugins, that are not on the node. */
  missingPlugins(network: NetworkList): readonly string[];
}

/** The API server, as far as the agent uses it. */
export interface Cluster {
  /** The claim, or undefined if none has that name. Rejects if the API server does not answer. */
  getClaim(
    claim: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<ResourceClaim | undefined>;
  /**
   * The claims that a pod uses, and its group; none if the pod with this UID is gone. Rejects if
   * the API server does not answer.
   */
  getPodClaims(pod: PodRef, signal: AbortSignal): Promise<PodClaims>;
  /**
   * Writes all of this driver's entries; entries left out are removed. "gone"
   * if the claim does not exist, has a different UID, or is now allocated to another node. Rejects
   * with a {@link Refusal} if the same request would be refused again.
   */
  applyDeviceStatus(
    claim: ClaimRef,
    devices: readonly DeviceStatus[],
    signal: AbortSignal,
  ): Promise<"applied" | "gone">;
}

/** Marks the error of a request that the API server rejects as invalid, whatever its state is. */
export interface Refusal extends Error {
  readonly refused: true;
}

/** Crash-safe records. Every method that returns a promise resolves when the change is durable. */
export interface Journal {
  load(): Promise<Loaded>;
  /** The records of a pod, written by whichever agent leads. Read-only. */
  look(pod: PodRef): Promise<PodRecords>;
  putClaim(record: ClaimRecord): Promise<void>;
  /**
   * Removes the record of a claim. One that `departs` is remembered until it is forgotten: kubelets of
   * before July 2026 may take it as prepared all the same, and the next agent must know of it.
   */
  removeClaim(uid: string, options: { readonly departs: boolean }): Promise<void>;
  /** Forgets a claim that has departed. It is gone when this returns, or as soon as the disk takes that. */
  forgetDeparted(uid: string): void;
  putAttachment(record: AttachmentRecord): Promise<void>;
  /**
   * Notes on a record that was put with `add: "pending"` that ADD begins. The note is complete when
   * this returns: the next process reads it even if this one dies. A power cut may undo it, but
   * ends the pods, too.
   */
  noteAddStarted(record: AttachmentRecord): void;
  removeAttachment(record: AttachmentRecord): Promise<void>;
  /** Removes what writes that failed have left, where the disk takes that by now. Only while this agent leads. */
  tidy(): void;
}

/**
 * Sandboxes of which an agent that does not lead tells the one that does, or the next: those whose
 * containers are still to come. Containerd 1.7 and CRI-O leave out a sandbox that is being started when
 * they synchronize.
 */
export interface WaitingSandboxes {
  put(sandbox: Sandbox): Promise<void>;
  /** Each is taken once. It may have ended. */
  take(): Promise<readonly Sandbox[]>;
}

/**
 * The lock that makes one of a node's agents the leader, and the lock that shows that another one
 * could lead.
 */
export interface LeadLock {
  /** Takes the lead if no agent has it, and returns whether this agent has it now. */
  take(): boolean;
  release(): void;
  /** Registers this agent as the next leader unless another one is, and returns whether it is registered. */
  standNext(): boolean;
  standDown(): void;
  /**
   * Whether another agent is next in line to lead. No agent can mistake this check for a candidacy.
   */
  nextStands(): boolean;
}

/** The node's network namespaces. */
export interface Namespaces {
  /**
   * "pod": a separate namespace; "host": the agent's own (CNI would configure the host); "gone": no
   * namespace at that path.
   */
  classify(path: string): "pod" | "host" | "gone";
  /**
   * The interfaces in a pod's namespace, by name; undefined if the node cannot tell. Rejects if the
   * namespace cannot be entered.
   */
  interfaces(path: string, signal: AbortSignal): Promise<Interfaces | undefined>;
  /**
   * Opens a pod's namespace, so that it outlives its path; undefined if it is gone or not a
   * namespace.
   */
  hold(path: string): HeldNamespace | undefined;
}

/** A pod's network namespace that stays open until it is released. */
export interface HeldNamespace {
  /** A path that works as CNI_NETNS until the hold is released. */
  readonly path: string;
  release(): void;
}

/** The files that make containers wait, with or without the agent (design decision 11). */
export interface CdiFiles {
  /** The CDI device id for a claim; undefined when CDI is turned off. */
  deviceId(claimUid: string): string | undefined;
  /** The claim of one of our CDI device ids. */
  claimUid(deviceId: string): string | undefined;
  /**
   * From now on, containers that name the claim can be created. Complete when it returns: the
   * runtime creates them some 30 ms after it reported the sandbox, and shows an error if that is
   * too early.
   */
  allowCreate(metadata: ClaimMetadata): void;
  refuseCreate(claimUid: string): Promise<void>;
  /**
   * From now on, containers that name the claim can start, including those that were created
   * before, and can read its metadata, including those that are running.
   */
  allowStart(metadata: ClaimMetadata): void;
  refuseStart(claimUid: string): Promise<void>;
  /** Whether they can, whichever agent allowed it. */
  startAllowed(claimUid: string): Promise<boolean>;
  /** The UIDs of the claims that currently have a file. */
  list(): Promise<string[]>;
  /** The claims whose containers can currently be created, whichever agent allowed it. */
  claims(): Promise<ClaimRef[]>;
}

/**
 * Counts what the agent does. Every method returns at once, because some are on the path of a pod's
 * start.
 */
export interface Metrics {
  /** A claim was prepared, or refused. */
  prepared(result: Result): void;
  unprepared(result: Result): void;
  /** One phase of a Prepare, for all its claims together, took this many seconds. */
  prepareTook(phase: PreparePhase, seconds: number): void;
  /** A container of a pod with networks waited at the gate for this many seconds. */
  gateWaited(outcome: GateOutcome, seconds: number): void;
  /** One attempt to write a claim's status; a retry follows a failed attempt. */
  statusWritten(result: StatusResult, attempt: "first" | "retry"): void;
  /** CNI CHECK of one attachment was carried out, or could not be. */
  checked(result: CheckResult): void;
  /** A lost attachment was repaired, or an attempt to repair it failed. */
  repaired(result: Result): void;
  /** GC of one network. */
  collected(result: Result): void;
  /**
   * The rest of a claim was dropped without the kubelet's Unprepare, or without a successful DEL.
   */
  forgotten(why: ForgetCause): void;
  /** The number of this node's devices that are currently in the API server. */
  devicesPublished(devices: Readonly<Record<"up" | "down", number>>): void;
}

/** A step in attaching a pod's networks that has ended. */
export interface PodStep {
  /** "add" is one CNI plugin's ADD; "gate" a container's wait; "status" a write of the claim's status. */
  readonly name: "prepare" | "add" | "gate" | "status";
  readonly pod: PodRef;
  readonly seconds: number;
  /** What it was about, such as the claim. */
  readonly about: Readonly<Record<string, string>>;
  /** Why it failed, where it did. */
  readonly error?: string;
}

/** Traces how pods get their networks. Both return at once. */
export interface Traces {
  /** The ID of a pod's trace; undefined while traces are off. */
  idOf(podUid: string): string | undefined;
  ended(step: PodStep): void;
}

/** Emits Events for users on the objects concerned. */
export interface Events {
  /**
   * Returns at once. Repeats increment the event's count; events that cannot be written are
   * dropped.
   */
  warn(event: WarningEvent): void;
}

/** What the node has. */
export interface Inventory {
  /**
   * The devices as they are now. Does not reject: whatever cannot be read is logged and keeps its
   * last value.
   */
  read(signal: AbortSignal): Promise<NodeDevice[]>;
}

/** The node's devices as the API server has them: its ResourceSlices. */
export interface DevicePool {
  /** The devices that are currently published; numbered copies count as one device. */
  published(signal: AbortSignal): Promise<NodeDevice[]>;
  /** Publishes these devices, and returns whether anything had to be written. */
  publish(devices: readonly OfferedDevice[], signal: AbortSignal): Promise<boolean>;
  /** Yields when it begins to watch and at each change thereafter; ends or rejects when the API server ends it. */
  changes(signal: AbortSignal): AsyncIterable<void>;
}

/** The interfaces behind the node's devices. */
export interface Devices {
  /**
   * Resolves when they are known; the function throws for a name that does not belong to this node.
   */
  known(signal: AbortSignal): Promise<(device: string) => DeviceInterface>;
  /** Whether the device's interface is gone from the node; false while that is not known. */
  isGone(device: string): boolean;
  /** As they were when the device was last seen; none while this is unknown. */
  attributesOf(device: string): Readonly<Record<string, DeviceAttribute>>;
}

/** The node as the policy sees it. */
export interface PolicyNode {
  /** As it was when its devices were last read. The devices must be known. */
  view(): NodeView;
}

/** The networks that claims can name. */
export interface Networks {
  /**
   * As they are now for claims of a namespace. An unreadable network causes an error only when it is
   * looked up. Rejects only if the signal is aborted.
   */
  read(namespace: string, signal: AbortSignal): Promise<NodeNetworks>;
}

/** Whether the API server lets a user read something from the agent. */
export type Access =
  | { readonly kind: "allowed" }
  /** The token belongs to no user. */
  | { readonly kind: "unknown" }
  | { readonly kind: "forbidden"; readonly user: string };

/** Knows who may read the metrics. */
export interface AccessReview {
  /** @throws Error when it cannot be told */
  review(token: string, signal: AbortSignal): Promise<Access>;
}

/** Structured logging: a message in Kubernetes' usual terms, and its attributes. */
export interface Log {
  debug(message: string, about?: Record<string, unknown>): void;
  info(message: string, about?: Record<string, unknown>): void;
  warn(message: string, about?: Record<string, unknown>): void;
  error(message: string, about?: Record<string, unknown>): void;
}

/** Something that a part of the agent needs for its work and currently lacks. */
export interface Lack {
  /** What is wrong, and where. */
  readonly problem: string;
  readonly whatToDo: string;
  /**
   * How long this is normal, in milliseconds: the log does not mention it before. Infinity if it
   * ends when another problem is solved.
   */
  readonly usualFor?: number;
}
