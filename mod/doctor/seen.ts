/** What is gathered of a cluster before anything is judged. */
import type { AgentTold } from "../cluster/agent_status.ts";
import type { AgentPod, ClusterObjects, ObjectName, SliceObject } from "../cluster/objects.ts";
import type { ClusterPicture } from "../cluster/picture.ts";
import type { Right } from "./rights.ts";

/** Something that was looked at, or why it was not. */
export type Seen<T> =
  | { readonly state: "seen"; readonly value: T }
  /** `why` is a sentence without a full stop. */
  | { readonly state: "unseen"; readonly why: string };

/** The API server. */
export interface ApiSeen {
  /** Such as `v1.36.2`. */
  readonly version: string;
  /** The versions of resource.k8s.io that it serves, such as `v1` and `v1beta1`. */
  readonly resourceVersions: readonly string[];
  /** By how much the clock of the API server is ahead of this machine's, in milliseconds. */
  readonly clockAhead?: number;
}

/** A right, and whether it is had. */
export interface RightSeen extends Right {
  readonly allowed: boolean;
}

/** The rights of one ServiceAccount of agents, as `NAMESPACE/NAME`. */
export interface AccountSeen {
  readonly account: ObjectName;
  readonly rights: Seen<readonly RightSeen[]>;
}

/** A ValidatingAdmissionPolicy about agents, and whether a binding puts it in force. */
export interface AdmissionSeen {
  readonly name: string;
  /** The resources whose changes it judges. */
  readonly resources: readonly string[];
  /** The usernames that its conditions name. */
  readonly expressions: readonly string[];
  /** A binding denies what it refuses. */
  readonly enforced: boolean;
}

/** The clock of a node, by the lease that its kubelet renews. */
export interface NodeClock {
  readonly node: string;
  /** By how much it is ahead of the API server's, in milliseconds; to about a second. */
  readonly ahead: number;
}

/** The configuration of a node's kubelet: its feature gates where they are set, by name. */
export interface KubeletSeen {
  readonly node: string;
  readonly gates: Seen<Readonly<Record<string, boolean>>>;
}

/** What an agent tells. */
export interface AgentSeen {
  readonly node: string;
  readonly pod: AgentPod;
  readonly told: AgentTold;
}

/** A record of an agent whose pod or claim was not in the lists, and whether it is there after all. */
export interface RecordSeen {
  readonly node: string;
  readonly kind: "pod" | "claim";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** What the agent has for it, such as `network lan on net1`. */
  readonly holds: string;
  readonly there: Seen<boolean>;
}

/** A DeviceClass or a ResourceClaimTemplate, as the API server gives it. */
export type RawObject = Readonly<Record<string, unknown>>;

/** All that the checks look at. */
export interface ClusterSeen {
  /** The one node that is asked about; undefined: all. */
  readonly node?: string;
  /** What it is about: where one node is asked about, that node, its claims and its pods. */
  readonly picture: ClusterPicture;
  /** The whole cluster. */
  readonly whole: ClusterPicture;
  /** The objects that the picture is made of. */
  readonly objects: ClusterObjects;
  readonly slices: readonly SliceObject[];
  readonly api: Seen<ApiSeen>;
  /** Feature gates of the API server that concern this driver, by name. */
  readonly gates: Seen<ReadonlyMap<string, boolean>>;
  /** Before the driver is installed: the rights that the user needs to install it. */
  readonly installRights?: Seen<readonly RightSeen[]>;
  readonly accounts: readonly AccountSeen[];
  readonly admission: Seen<readonly AdmissionSeen[]>;
  readonly agents: readonly AgentSeen[];
  readonly records: readonly RecordSeen[];
  readonly classes: Seen<readonly RawObject[]>;
  readonly templates: Seen<readonly RawObject[]>;
  readonly clocks: Seen<readonly NodeClock[]>;
  readonly kubelets: readonly KubeletSeen[];
}

/** Whether the driver is there, or may be: where it is known not to be, this is a preflight. */
export function isInstalled(picture: ClusterPicture): boolean {
  return picture.devices.length > 0 || mayHaveAgents(picture);
}

/** Whether nodes have agents, or it is not known that they have none. */
export function mayHaveAgents({ nodes, unread }: ClusterPicture): boolean {
  return nodes.some(({ agent }) => agent.state !== "none") ||
    unread.some(({ kind }) => kind === "ResourceSlice" || kind === "AgentPod");
}
