/** The cluster's networks as users see them: what `status`, `pods`, `explain` and the others show. */
import type {
  AgentPod,
  ConditionObject,
  ConfiguredNetwork,
  EventObject,
  ObjectName,
  ObjectRef,
  PodObject,
  RequestObject,
  Unread,
} from "./objects.ts";

/** The agent of a node. */
export type AgentState =
  /** Its pod is ready. */
  | { readonly state: "ready"; readonly pod: AgentPod }
  /** Its pod is there, and not ready. */
  | { readonly state: "not-ready"; readonly pod: AgentPod; readonly problem: string }
  /** The node has devices, but no pod of the agent is to be seen: it may run as a process. */
  | { readonly state: "unseen" }
  /** The node has neither devices nor a pod of the agent. */
  | { readonly state: "none" };

/** A node and its agent. */
export interface NodeView {
  readonly name: string;
  /** Undefined where nodes cannot be read. */
  readonly ready?: boolean;
  /** Why the node is not ready. */
  readonly problem?: string;
  readonly kubelet?: string;
  readonly runtime?: string;
  readonly agent: AgentState;
  /** How many devices it publishes. */
  readonly devices: number;
}

/** A device, and who uses it. */
export interface DeviceView {
  readonly driver: string;
  readonly pool: string;
  readonly node?: string;
  readonly name: string;
  /** By name; those without a domain are the driver's: `type`, `interface`, `mtu`, … */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly taints: readonly { readonly key: string; readonly effect: string }[];
  /** How many attachments it takes. */
  readonly capacity: number;
  /** The claims that it is allocated to, one entry for each share. */
  readonly claims: readonly ObjectRef[];
}

/** How an attachment, or a whole claim, is doing, in one word. */
export type ClaimPhase =
  /** The scheduler has not chosen devices. */
  | "unallocated"
  /** It has devices, and no pod uses it. */
  | "allocated"
  /** A pod uses it; the agent has not said yet how it went. Preparing and attaching look the same. */
  | "attaching"
  | "attached"
  /** It could not be prepared or attached. */
  | "failed"
  /** It was attached, and is no longer. */
  | "lost"
  /** Its pods end, or it is being deleted. */
  | "detaching";

/** All phases, the worst first. */
export const CLAIM_PHASES: readonly ClaimPhase[] = [
  "failed",
  "lost",
  "unallocated",
  "attaching",
  "detaching",
  "allocated",
  "attached",
];

/** A phase with what is known of it. */
export interface ClaimState {
  readonly phase: ClaimPhase;
  /** The reason of the condition or of the event that says why. */
  readonly reason?: string;
  readonly message?: string;
  /** RFC 3339. */
  readonly since?: string;
}

/** One allocated device of a claim, with its network. */
export interface AttachmentView {
  /** `request` or `request/subrequest`. */
  readonly request: string;
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly shareID?: string;
  readonly node?: string;
  /** Undefined where the parameters name none, or cannot be read. */
  readonly network?: ConfiguredNetwork;
  /** The interface in the pod: of the status, or else as the parameters name it. */
  readonly interfaceName?: string;
  readonly hardwareAddress?: string;
  /** CIDR. Where several pods share the claim, those of the first. */
  readonly ips: readonly string[];
  /** The condition `Ready`. */
  readonly condition?: ConditionObject;
  readonly state: ClaimState;
}

/** A claim of this driver. */
export interface ClaimView extends ObjectRef {
  readonly created: string;
  /** The pod that it was made for from a template. */
  readonly ownerPod?: string;
  readonly requests: readonly RequestObject[];
  /** The networks that it asks for, once each. */
  readonly networks: readonly ConfiguredNetwork[];
  /** The node of its devices. */
  readonly node?: string;
  /** The pods for which it is reserved, and those that name it and wait. */
  readonly pods: readonly ObjectRef[];
  readonly state: ClaimState;
  /** None until it is allocated. */
  readonly attachments: readonly AttachmentView[];
  /** About the claim itself, the latest first. */
  readonly events: readonly EventObject[];
}

/** How a pod names a claim of this driver. */
export interface PodClaimView {
  /** What the pod's containers call it. */
  readonly name: string;
  readonly template?: string;
  /** The name of the ResourceClaim; absent until it is made from the template. */
  readonly claim?: string;
  /** Absent while there is no such claim. */
  readonly view?: ClaimView;
}

/** A pod that uses claims of this driver. */
export interface PodView extends Omit<PodObject, "claims"> {
  readonly claims: readonly PodClaimView[];
  /** About the pod, the latest first. */
  readonly events: readonly EventObject[];
}

/** A network: what claims and classes call by one name. */
export interface NetworkView {
  readonly name: string;
  readonly source: ConfiguredNetwork["source"];
  /** The types of its plugins; each list of types that is in use, once. */
  readonly plugins: readonly (readonly string[])[];
  /** The classes whose parameters name it. */
  readonly classes: readonly string[];
  /** The nodes on which it is allocated. */
  readonly nodes: readonly string[];
  /** How many attachments are in each phase. */
  readonly phases: Readonly<Partial<Record<ClaimPhase, number>>>;
}

/** A DeviceClass of this driver. */
export interface ClassView {
  readonly name: string;
  readonly networks: readonly ConfiguredNetwork[];
  readonly selectors: readonly string[];
}

/** What was seen of a cluster. */
export interface ClusterPicture {
  /** RFC 3339. */
  readonly takenAt: string;
  /** The driver names that it is about. */
  readonly drivers: readonly string[];
  readonly nodes: readonly NodeView[];
  readonly devices: readonly DeviceView[];
  readonly classes: readonly ClassView[];
  /** The names of all DeviceClasses, of whichever driver. */
  readonly classNames: readonly string[];
  readonly networks: readonly NetworkView[];
  readonly claims: readonly ClaimView[];
  readonly pods: readonly PodView[];
  /** The templates of this driver. */
  readonly templates: readonly ObjectName[];
  /** What could not be read. */
  readonly unread: readonly Unread[];
}
