/**
 * Which of a cluster's objects go into an archive, and what of them. Pods of users have images,
 * commands and variables that are none of ours, so only what matters to a network is taken of them.
 */

// deno-lint-ignore no-explicit-any -- objects as the API server gives them
type Raw = any;

/** A kind of object in an archive. */
export interface DumpedKind {
  /** The file that it goes to, without its extension. */
  readonly file: string;
  /** Of the list, with its query. */
  readonly path: string;
  readonly apiVersion: string;
  readonly kind: string;
  /** The object as it is shown; undefined for one that does not belong to us. */
  readonly show: (object: Raw, scope: DumpScope) => unknown;
}

/** Which objects belong to us. */
export interface DumpScope {
  /** UIDs of the claims, and of the pods that use them. */
  readonly uids: ReadonlySet<string>;
  /** UIDs of the agents' pods. */
  readonly agents: ReadonlySet<string>;
  readonly drivers: readonly string[];
  /** Names of the DeviceClasses of these drivers. */
  readonly classes: ReadonlySet<string>;
  /** `NAMESPACE/NAME` of the ResourceClaimTemplates. */
  readonly templates: ReadonlySet<string>;
  /** Only what is on this node. */
  readonly node?: string;
  /** Whether names are replaced: then, what often holds other names is left out. */
  readonly redact: boolean;
}

/** The label of the chart's objects. */
const OURS = `labelSelector=${encodeURIComponent("app.kubernetes.io/name=network-dra")}`;
const RESOURCE = { apiVersion: "resource.k8s.io/v1" } as const;
const CORE = { apiVersion: "v1" } as const;

/** In the order in which they are read: what names others comes after them. */
export const DUMPED_KINDS: readonly DumpedKind[] = [
  { ...CORE, file: "nodes", path: "/api/v1/nodes", kind: "Node", show: showNode },
  { ...CORE, file: "pods", path: "/api/v1/pods", kind: "Pod", show: showPod },
  {
    ...CORE,
    file: "agent-pods",
    path: `/api/v1/pods?${OURS}`,
    kind: "Pod",
    show: (object, { node }) => onNode(object.spec?.nodeName, node) ? object : undefined,
  },
  {
    ...RESOURCE,
    file: "deviceclasses",
    path: "/apis/resource.k8s.io/v1/deviceclasses",
    kind: "DeviceClass",
    show: (object, { classes }) => classes.has(object.metadata.name) ? object : undefined,
  },
  {
    ...RESOURCE,
    file: "resourceslices",
    path: "/apis/resource.k8s.io/v1/resourceslices",
    kind: "ResourceSlice",
    show: ({ metadata, spec, ...rest }, { drivers, node }) =>
      drivers.includes(spec.driver) && onNode(spec.nodeName, node)
        ? { metadata, spec, ...rest }
        : undefined,
  },
  {
    ...RESOURCE,
    file: "resourceclaims",
    path: "/apis/resource.k8s.io/v1/resourceclaims",
    kind: "ResourceClaim",
    show: showClaim,
  },
  {
    ...RESOURCE,
    file: "resourceclaimtemplates",
    path: "/apis/resource.k8s.io/v1/resourceclaimtemplates",
    kind: "ResourceClaimTemplate",
    show: (object, { templates, redact }) => {
      const { namespace, name } = object.metadata;
      return templates.has(`${namespace}/${name}`) ? withoutLabels(object, redact) : undefined;
    },
  },
  {
    apiVersion: "apps/v1",
    file: "daemonsets",
    path: `/apis/apps/v1/daemonsets?${OURS}`,
    kind: "DaemonSet",
    show: (object) => object,
  },
  {
    ...CORE,
    file: "configmaps",
    path: `/api/v1/configmaps?${OURS}`,
    kind: "ConfigMap",
    // The dashboard is large, and is in every release.
    show: (object) => object.metadata.labels?.grafana_dashboard === undefined ? object : undefined,
  },
  { ...CORE, file: "events", path: "/api/v1/events", kind: "Event", show: showEvent },
];

/** Whether something is to be shown where only one node is; what is on none yet may come to it. */
function onNode(own: string | undefined, node: string | undefined): boolean {
  return node === undefined || own === undefined || own === node;
}

function showNode({ metadata, spec, status }: Raw, { node, redact }: DumpScope): unknown {
  if (!onNode(metadata.name, node)) return undefined;
  const { name, uid, creationTimestamp, deletionTimestamp, labels } = metadata;
  const { machineID: _, systemUUID: __, bootID, ...nodeInfo } = status?.nodeInfo ?? {};
  return {
    metadata: {
      name,
      uid,
      creationTimestamp,
      deletionTimestamp,
      ...(!redact && { labels }),
    },
    spec: { unschedulable: spec?.unschedulable, taints: spec?.taints },
    status: {
      conditions: status?.conditions,
      addresses: status?.addresses,
      allocatable: status?.allocatable,
      nodeInfo: { ...nodeInfo, bootID },
      features: status?.features,
      runtimeHandlers: status?.runtimeHandlers,
    },
  };
}

/** Annotations of pods that say something of networks. */
const NETWORK_ANNOTATION = /^(?:k8s\.v1\.cni\.cncf\.io|resource\.kubernetes\.io)\//;

function showPod({ metadata, spec, status }: Raw, { uids, node, redact }: DumpScope): unknown {
  if (!uids.has(metadata.uid) || !onNode(spec?.nodeName, node)) return undefined;
  const { name, namespace, uid, creationTimestamp, deletionTimestamp } = metadata;
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(([key]) => NETWORK_ANNOTATION.test(key));
  const container = ({ name, image, resources }: Raw) => ({
    name,
    ...(!redact && { image }),
    resources,
  });
  const state = ({ image: _, imageID: __, ...rest }: Raw) => rest;
  return {
    metadata: {
      name,
      namespace,
      uid,
      creationTimestamp,
      deletionTimestamp,
      ownerReferences: metadata.ownerReferences?.map(({ kind, name }: Raw) => ({ kind, name })),
      ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }),
    },
    spec: {
      nodeName: spec?.nodeName,
      hostNetwork: spec?.hostNetwork,
      restartPolicy: spec?.restartPolicy,
      runtimeClassName: spec?.runtimeClassName,
      schedulerName: spec?.schedulerName,
      schedulingGates: spec?.schedulingGates,
      resourceClaims: spec?.resourceClaims,
      initContainers: spec?.initContainers?.map(container),
      containers: spec?.containers?.map(container),
    },
    status: {
      ...status,
      initContainerStatuses: status?.initContainerStatuses?.map(state),
      containerStatuses: status?.containerStatuses?.map(state),
      ephemeralContainerStatuses: undefined,
    },
  };
}

function showClaim(object: Raw, { uids, node, redact }: DumpScope): unknown {
  if (!uids.has(object.metadata.uid)) return undefined;
  const results: Raw[] = object.status?.allocation?.devices?.results ?? [];
  // A pool of this driver has the node's name.
  const isHere = results.length === 0 || results.some(({ pool }) => onNode(pool, node));
  return isHere ? withoutLabels(object, redact) : undefined;
}

function showEvent(object: Raw, { uids, agents, node }: DumpScope): unknown {
  const { kind, uid, name } = object.involvedObject ?? {};
  const isNode = kind === "Node" && onNode(name, node);
  return isNode || uids.has(uid) || agents.has(uid) ? object : undefined;
}

/** Labels and annotations of users often repeat names of theirs. */
function withoutLabels(object: Raw, redact: boolean): unknown {
  if (!redact) return object;
  const { labels: _, annotations: __, ...metadata } = object.metadata;
  return { ...object, metadata };
}
