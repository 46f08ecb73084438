/** What the page shows of a cluster: small, flat, and with a key for each thing, so that changes are small. */
import type { Finding } from "../cluster/findings.ts";
import { type AgentState, CLAIM_PHASES, type ClaimPhase } from "../cluster/picture.ts";

/** How an attachment is doing; "no-claim": its claim is not there, or not made yet. */
export type MapState = ClaimPhase | "no-claim";

/** All states, the worst first. */
export const MAP_STATES: readonly MapState[] = [
  "failed",
  "lost",
  "no-claim",
  ...CLAIM_PHASES.slice(2),
];

/** The worst of several states; undefined of none. */
export function worstOf(states: Iterable<MapState>): MapState | undefined {
  const seen = new Set(states);
  return MAP_STATES.find((state) => seen.has(state));
}

/** A thing of the map; no other of its kind has its key. */
export interface Keyed {
  readonly key: string;
}

/** A node; its key is its name. */
export interface MapNode extends Keyed {
  readonly name: string;
  /** Whether it can serve pods: it is ready, and so is its agent. */
  readonly well: boolean;
  readonly agent: AgentState["state"];
  /** Such as `agent 0.1.0 ready`, or what is wrong. */
  readonly text: string;
}

/** A device of a node; interfaces of the node, most of them. */
export interface MapDevice extends Keyed {
  readonly node: string;
  readonly name: string;
  readonly type: string;
  /** `up` or `down`; absent where the driver does not say. */
  readonly state?: string;
  readonly mtu?: number;
  readonly used: number;
  readonly capacity: number;
  readonly tainted: boolean;
}

/** A network. */
export interface MapNetwork extends Keyed {
  readonly name: string;
  readonly definedIn: "claims" | "nodes";
  /** Such as `bridge → tuning`; empty where it is defined on nodes. */
  readonly plugins: string;
  readonly states: Readonly<Partial<Record<MapState, number>>>;
  /** The worst of its attachments; absent where nobody uses it. */
  readonly state?: MapState;
}

/** One network of a pod. */
export interface MapAttachment extends Keyed {
  /** What the pod calls the claim. */
  readonly podClaim: string;
  /** The claim's name; absent until it is made from its template. */
  readonly claim?: string;
  /** Key of the network. */
  readonly network?: string;
  /** Key of the device. */
  readonly device?: string;
  readonly interfaceName?: string;
  readonly hardwareAddress?: string;
  /** CIDR. */
  readonly addresses: readonly string[];
  readonly state: MapState;
  /** When there were both the claim and the pod; RFC 3339. */
  readonly began: string;
  /** Since when the condition Ready is True; RFC 3339. */
  readonly ready?: string;
}

/** A pod that uses claims of the driver; its key is its UID. */
export interface MapPod extends Keyed {
  readonly namespace: string;
  readonly name: string;
  /** Absent until the scheduler has chosen one. */
  readonly node?: string;
  /** `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`. */
  readonly phase: string;
  readonly ending: boolean;
  readonly created: string;
  /** The worst of its attachments. */
  readonly state: MapState;
  readonly attachments: readonly MapAttachment[];
}

/** The things of the map, by kind. */
export interface MapThings {
  readonly nodes: readonly MapNode[];
  readonly devices: readonly MapDevice[];
  readonly networks: readonly MapNetwork[];
  readonly pods: readonly MapPod[];
}

/** What is said of the cluster as a whole. */
export interface MapSummary {
  /** The API server's URL. */
  readonly server: string;
  readonly drivers: readonly string[];
  /** Whether the first lists are still being read. */
  readonly reading: boolean;
  /** Why what is shown may be old: the API server does not answer. */
  readonly away?: string;
  /** Sentences: what cannot be read, and why. */
  readonly unread: readonly string[];
  readonly findings: readonly Finding[];
}

/** Everything that the page shows. */
export interface MapPicture extends MapThings {
  readonly summary: MapSummary;
}
