/**
 * The cluster's objects as far as the picture needs them. They are small on purpose: a cluster has
 * 50,000 claims, and what the API server answers of each is some kilobytes.
 */

/** Names an object of a namespace. */
export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

/** Names one object; the UID tells it from an earlier one of that name. */
export interface ObjectRef extends ObjectName {
  readonly uid: string;
}

/** A Node (core/v1). */
export interface NodeObject {
  readonly name: string;
  readonly ready: boolean;
  /** Why it is not ready, in the kubelet's or the node controller's words. */
  readonly problem?: string;
  readonly kubelet?: string;
  /** Such as `containerd://2.1.4`. */
  readonly runtime?: string;
}

/** A pod of the agent's DaemonSet. */
export interface AgentPod extends ObjectRef {
  readonly node?: string;
  /** The image's tag; absent where the image is named by its digest alone. */
  readonly version?: string;
  readonly image?: string;
  readonly ready: boolean;
  readonly restarts: number;
  readonly created: string;
  readonly terminating: boolean;
  /** `--driver-name`, where its arguments say so. */
  readonly driver?: string;
  /** The ServiceAccount that it uses. */
  readonly serviceAccount?: string;
  /** Why it is not ready: the reason and the message of its container or of the pod. */
  readonly problem?: string;
}

/** How a pod names a claim. */
export interface PodClaimObject {
  /** What the pod's containers call it. */
  readonly name: string;
  /** The ResourceClaim; absent until one is made from the template. */
  readonly claim?: string;
  /** The ResourceClaimTemplate it is made from. */
  readonly template?: string;
}

/** A container of a pod that does not run. */
export interface WaitingContainer {
  readonly name: string;
  /** Such as `ContainerCreating`. */
  readonly reason: string;
  readonly message?: string;
}

/** A Pod (core/v1) that uses claims. */
export interface PodObject extends ObjectRef {
  readonly node?: string;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase: string;
  readonly ready: boolean;
  readonly hostNetwork: boolean;
  readonly terminating: boolean;
  readonly created: string;
  readonly claims: readonly PodClaimObject[];
  /** What the scheduler says, while it finds no node. */
  readonly unscheduled?: string;
  readonly waiting: readonly WaitingContainer[];
}

/** A device of a ResourceSlice (resource.k8s.io/v1). */
export interface SliceDeviceObject {
  readonly name: string;
  /** By name; those without a domain are the driver's. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly taints: readonly { readonly key: string; readonly effect: string }[];
  /** How many attachments it takes: its capacity `attachments`, or 1. */
  readonly attachments: number;
}

/** A ResourceSlice (resource.k8s.io/v1). */
export interface SliceObject {
  readonly name: string;
  readonly driver: string;
  readonly node?: string;
  readonly pool: string;
  readonly generation: number;
  /** How many slices the pool has in this generation. */
  readonly slicesInPool: number;
  readonly devices: readonly SliceDeviceObject[];
}

/** The network that opaque parameters name, as far as they can be read. */
export interface ConfiguredNetwork {
  /** The CNI configuration's `name`, or what names a network that is defined elsewhere. */
  readonly name: string;
  /** "parameters": the configuration stands in them; "node": the agent of the node finds it. */
  readonly source: "parameters" | "node";
  /** The types of its plugins; none where the agent finds it. */
  readonly plugins: readonly string[];
  /** The types of its IPAM plugins, where they have types. */
  readonly ipam?: readonly string[];
  /** The interface's name in the pod, where one is given. */
  readonly interfaceName?: string;
  /** The node's interface that the first plugin is given. */
  readonly parent?: string;
  /** The MTU that the first plugin is given. */
  readonly mtu?: number;
}

/** Opaque parameters of a claim or a class. */
export interface ConfigObject {
  readonly driver: string;
  /** The requests that it applies to; none: to all. */
  readonly requests: readonly string[];
  readonly from: "class" | "claim";
  /** Absent where the parameters name none. */
  readonly network?: ConfiguredNetwork;
}

/** A DeviceClass (resource.k8s.io/v1). */
export interface ClassObject {
  readonly name: string;
  readonly configs: readonly ConfigObject[];
  /** CEL expressions that a device must satisfy. */
  readonly selectors: readonly string[];
}

/** A request of a claim, or one of its alternatives, which are named `request/subrequest`. */
export interface RequestObject {
  readonly name: string;
  readonly className: string;
  readonly selectors: readonly string[];
}

/** What a claim, or a template's claims, ask for. */
export interface ClaimSpecObject {
  readonly requests: readonly RequestObject[];
  readonly configs: readonly ConfigObject[];
}

/** A device that the scheduler has given to a request. */
export interface AllocatedObject {
  readonly request: string;
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly shareID?: string;
}

/** A condition: what is so, why, and since when. */
export interface ConditionObject {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly since: string;
}

/** An entry of `status.devices` (KEP-4817). */
export interface DeviceStatusObject {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  readonly shareID?: string;
  /** The condition `Ready`. */
  readonly ready?: ConditionObject;
  readonly interfaceName?: string;
  readonly hardwareAddress?: string;
  readonly ips: readonly string[];
}

/** A ResourceClaim (resource.k8s.io/v1). */
export interface ClaimObject extends ObjectRef {
  readonly created: string;
  readonly deleting: boolean;
  /** The pod that it was made for from a template. */
  readonly ownerPod?: string;
  readonly spec: ClaimSpecObject;
  /** Absent until the scheduler has chosen devices. */
  readonly allocation?: {
    readonly devices: readonly AllocatedObject[];
    readonly configs: readonly ConfigObject[];
  };
  readonly reservedFor: readonly {
    /** `pods`, or `podgroups`. */
    readonly resource: string;
    readonly name: string;
    readonly uid: string;
  }[];
  readonly devices: readonly DeviceStatusObject[];
}

/** A ResourceClaimTemplate (resource.k8s.io/v1). */
export interface TemplateObject extends ObjectName {
  readonly spec: ClaimSpecObject;
}

/** An Event of type Warning (core/v1) about a pod or a claim. */
export interface EventObject {
  readonly namespace: string;
  readonly about: { readonly kind: string; readonly name: string; readonly uid: string };
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  /** RFC 3339. */
  readonly last: string;
  /** Who says it: the kubelet, the scheduler, a driver. */
  readonly component: string;
}

/** What there is of each kind that is read. */
export interface ObjectsByKind {
  readonly Node: NodeObject;
  readonly AgentPod: AgentPod;
  readonly Pod: PodObject;
  readonly ResourceSlice: SliceObject;
  readonly DeviceClass: ClassObject;
  readonly ResourceClaim: ClaimObject;
  readonly ResourceClaimTemplate: TemplateObject;
  readonly Event: EventObject;
}

/** A kind of object that is read. */
export type Kind = keyof ObjectsByKind;

/** Why a kind could not be read. */
export interface Unread {
  readonly kind: Kind;
  /** "not-served": the API server has no such API; "unanswered": it did not answer in time. */
  readonly cause: "forbidden" | "unauthorized" | "not-served" | "unanswered" | "failed";
  /** A sentence: what is wrong and what to do. */
  readonly message: string;
}

/** All objects of a kind, or why they could not be read, or that nobody asked for them. */
export type Listed<T> =
  | { readonly state: "read"; readonly items: readonly T[] }
  | { readonly state: "unread"; readonly unread: Unread }
  | { readonly state: "unasked" };

/** What was read of the cluster. */
export type ClusterObjects = { readonly [K in Kind]: Listed<ObjectsByKind[K]> };

/** The objects of a kind that could be read; none otherwise. */
export function itemsOf<K extends Kind>(
  objects: ClusterObjects,
  kind: K,
): readonly ObjectsByKind[K][] {
  const listed = objects[kind];
  return listed.state === "read" ? listed.items : [];
}
