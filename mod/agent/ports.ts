/** What the agent needs from the world. Adapters implement these interfaces. */
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
  Loaded,
  NodeDevice,
  NodeNetworks,
  OfferedDevice,
  PodRecords,
  PodRef,
  ResourceClaim,
  Result,
  RuntimeConfig,
  StatusResult,
  ValidAttachment,
  WarningEvent,
} from "./model.ts";

/** Runs the operations of CNI plugins. Each rejects with an error whose message a user can act on. */
export interface Cni {
  /** Checks that the network works on this node: every plugin exists, supports cniVersion and reports STATUS OK. */
  verify(network: NetworkList, signal: AbortSignal): Promise<void>;
  add(network: NetworkList, runtime: RuntimeConfig, signal: AbortSignal): Promise<AttachResult>;
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
   * GC: the plugins free what they keep of the network for other attachments than these. False where
   * the network's version has no GC, or its configuration turns it off.
   */
  gc(
    network: NetworkList,
    options: { readonly valid: readonly ValidAttachment[]; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** The network's plugins, IPAM plugins among them, that are not on the node. */
  missingPlugins(network: NetworkList): readonly string[];
}

/** The API server, as far as the agent uses it. */
export interface Cluster {
  /** The claim, or undefined when there is none of that name. Rejects when the API server gives no answer. */
  getClaim(
    claim: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<ResourceClaim | undefined>;
  /**
   * The claims that a pod uses, and its group; none when the pod with this UID is gone. Rejects
   * when the API server gives no answer.
   */
  getPodClaims(pod: PodRef, signal: AbortSignal): Promise<PodClaims>;
  /**
   * One server-side apply with all of this driver's entries; entries left out are removed.
   * "gone" when the claim is not there, is another (UID), or is allocated to another node by now.
   * Rejects with a {@link Refusal} when the same would be refused again.
   */
  applyDeviceStatus(
    claim: ClaimRef,
    devices: readonly DeviceStatus[],
    signal: AbortSignal,
  ): Promise<"applied" | "gone">;
}

/** Marks the error of a request that the API server finds invalid, whatever its state is. */
export interface Refusal extends Error {
  readonly refused: true;
}

/** Crash-safe records. Every method resolves when the change is durable. */
export interface Journal {
  load(): Promise<Loaded>;
  /** What is on record of a pod, written by whichever agent leads. Changes nothing. */
  look(pod: PodRef): Promise<PodRecords>;
  putClaim(record: ClaimRecord): Promise<void>;
  removeClaim(uid: string): Promise<void>;
  putAttachment(record: AttachmentRecord): Promise<void>;
  removeAttachment(record: AttachmentRecord): Promise<void>;
}

/** The lock by which one of a node's agents leads, and the one by which another says that it could. */
export interface LeadLock {
  /** Takes the lead if nobody has it, and says whether this agent has it now. */
  take(): boolean;
  release(): void;
  /** Registers this agent as the next leader unless another one is, and returns whether it is registered. */
  standNext(): boolean;
  standDown(): void;
  /** Whether another agent stands to lead next. Nobody can take this look for a claim. */
  nextStands(): boolean;
}

/** The node's network namespaces. */
export interface Namespaces {
  /** "pod": a namespace of its own; "host": the agent's own (CNI would configure the host); "gone": no namespace at that path. */
  classify(path: string): "pod" | "host" | "gone";
  /**
   * The names of the interfaces in a pod's namespace; undefined where the node cannot tell. Rejects
   * when the namespace cannot be entered.
   */
  interfaces(path: string, signal: AbortSignal): Promise<ReadonlySet<string> | undefined>;
  /** Opens a pod's namespace, so that it outlives its path; undefined when it is none or gone. */
  hold(path: string): HeldNamespace | undefined;
}

/** A pod's network namespace that stays open until it is released. */
export interface HeldNamespace {
  /** A path that works as CNI_NETNS for as long as the hold. */
  readonly path: string;
  release(): void;
}

/** The files that keep containers waiting, with or without the agent (design decision 11). */
export interface CdiFiles {
  /** The CDI device id for a claim; undefined when CDI is turned off. */
  deviceId(claimUid: string): string | undefined;
  /** The claim of one of our CDI device ids. */
  claimUid(deviceId: string): string | undefined;
  /**
   * From now on containers that name the claim are created. Done when it returns: the runtime creates
   * them some 30 ms after it told of the sandbox, and shows an error where that is too early.
   */
  allowCreate(metadata: ClaimMetadata): void;
  refuseCreate(claimUid: string): Promise<void>;
  /**
   * From now on containers that name the claim start, those among them that were created before, and
   * read its metadata, those among them that run.
   */
  allowStart(metadata: ClaimMetadata): void;
  refuseStart(claimUid: string): Promise<void>;
  /** Whether they do, whichever agent allowed it. */
  startAllowed(claimUid: string): Promise<boolean>;
  /** The claims of which there is a file now. */
  list(): Promise<string[]>;
}

/** Counts what the agent does. Every method returns at once: some stand in the way of a pod's start. */
export interface Metrics {
  /** A claim was prepared, or refused. */
  prepared(result: Result): void;
  unprepared(result: Result): void;
  /** A container of a pod with networks came to the gate; it stood there for so many seconds. */
  gateWaited(outcome: GateOutcome, seconds: number): void;
  /** One try at writing a claim's status; a retry follows a try that failed. */
  statusWritten(result: StatusResult, attempt: "first" | "retry"): void;
  /** CNI CHECK of one attachment was carried out, or could not be. */
  checked(result: CheckResult): void;
  /** A lost attachment was made anew, or a try at it failed. */
  repaired(result: Result): void;
  /** GC of one network. */
  collected(result: Result): void;
  /** What was left of a claim went without the kubelet's Unprepare, or without a DEL that succeeded. */
  forgotten(why: ForgetCause): void;
  /** How many devices the API server has of this node now. */
  devicesPublished(devices: Readonly<Record<"up" | "down", number>>): void;
}

/** Tells users what they must know, on the objects that it is about. */
export interface Events {
  /** Returns at once. The same event again raises the count of the first; what cannot be written is dropped. */
  warn(event: WarningEvent): void;
}

/** What the node has. */
export interface Inventory {
  /** The devices as they are now. Does not reject: what cannot be read is logged and stays as it was. */
  read(signal: AbortSignal): Promise<NodeDevice[]>;
}

/** The node's devices as the API server has them: its ResourceSlices. */
export interface DevicePool {
  /** What is published now, numbered copies as the one device that they are of. */
  published(signal: AbortSignal): Promise<NodeDevice[]>;
  /** Makes these the published devices, and says whether anything had to be written for that. */
  publish(devices: readonly OfferedDevice[], signal: AbortSignal): Promise<boolean>;
  /** Yields when it begins to watch and at each change thereafter; ends or rejects when the API server ends it. */
  changes(signal: AbortSignal): AsyncIterable<void>;
}

/** What the node's devices stand for. */
export interface Devices {
  /** Resolves when they are known; the function throws for a name that is none of this node's. */
  known(signal: AbortSignal): Promise<(device: string) => DeviceInterface>;
  /** Whether the device's interface is gone from the node; false while that is not known. */
  isGone(device: string): boolean;
  /** As they were when the device was seen last; none while that is not known. */
  attributesOf(device: string): Readonly<Record<string, DeviceAttribute>>;
}

/** The node as the policy sees it. */
export interface PolicyNode {
  /** As it was when its devices were read last. The devices must be known. */
  view(): NodeView;
}

/** The administrator's networks on the node. */
export interface Networks {
  /** As they are now. Does not reject: what cannot be read is said to whoever asks for it. */
  read(): Promise<NodeNetworks>;
}

/** Structured logging: a message in the words of the field, and what it is about. */
export interface Log {
  debug(message: string, about?: Record<string, unknown>): void;
  info(message: string, about?: Record<string, unknown>): void;
  warn(message: string, about?: Record<string, unknown>): void;
  error(message: string, about?: Record<string, unknown>): void;
}
