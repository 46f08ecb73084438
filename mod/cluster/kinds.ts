import type { Kind, ObjectsByKind } from "./objects.ts";
import {
  AGENT_LABEL,
  parseAgentPod,
  parseClaim,
  parseClass,
  parseEvent,
  parseNode,
  parsePod,
  parseSlice,
  parseTemplate,
} from "./parse_objects.ts";

/** How a kind is read. */
export interface KindReader<T> {
  /** Such as `/apis/resource.k8s.io/v1`. */
  readonly api: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** What limits the list, such as a label selector. */
  readonly query: Readonly<Record<string, string>>;
  /** The part of an object that is kept; undefined for one that is not wanted. */
  readonly parse: (object: unknown) => T | undefined;
}

const RESOURCE_API = "/apis/resource.k8s.io/v1";
const CORE_API = "/api/v1";

/** How each kind is read. */
export const KINDS: { readonly [K in Kind]: KindReader<ObjectsByKind[K]> } = {
  Node: { api: CORE_API, plural: "nodes", namespaced: false, query: {}, parse: parseNode },
  AgentPod: {
    api: CORE_API,
    plural: "pods",
    namespaced: false,
    query: { labelSelector: `${AGENT_LABEL.name}=${AGENT_LABEL.value}` },
    parse: parseAgentPod,
  },
  Pod: { api: CORE_API, plural: "pods", namespaced: true, query: {}, parse: parsePod },
  ResourceSlice: {
    api: RESOURCE_API,
    plural: "resourceslices",
    namespaced: false,
    query: {},
    parse: parseSlice,
  },
  DeviceClass: {
    api: RESOURCE_API,
    plural: "deviceclasses",
    namespaced: false,
    query: {},
    parse: parseClass,
  },
  ResourceClaim: {
    api: RESOURCE_API,
    plural: "resourceclaims",
    namespaced: true,
    query: {},
    parse: parseClaim,
  },
  ResourceClaimTemplate: {
    api: RESOURCE_API,
    plural: "resourceclaimtemplates",
    namespaced: true,
    query: {},
    parse: parseTemplate,
  },
  Event: {
    api: CORE_API,
    plural: "events",
    namespaced: true,
    query: { fieldSelector: "type=Warning" },
    parse: parseEvent,
  },
};

/** What of a kind is listed. */
export interface ListScope {
  /** Of a namespaced kind; undefined: all namespaces. */
  readonly namespace?: string;
  /** Only pods that do not run yet: of a large cluster's, these are few. */
  readonly pendingPods?: boolean;
}

/** The path and query of a kind's list. */
export function listPath(kind: Kind, { namespace, pendingPods = false }: ListScope = {}): string {
  const { api, plural, namespaced, query } = KINDS[kind];
  const scope = namespaced && namespace !== undefined
    ? `/namespaces/${encodeURIComponent(namespace)}`
    : "";
  const search = new URLSearchParams(query);
  if (kind === "Pod" && pendingPods) search.set("fieldSelector", "status.phase=Pending");
  return `${api}${scope}/${plural}${search.size > 0 ? `?${search}` : ""}`;
}
